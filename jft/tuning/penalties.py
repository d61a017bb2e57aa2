"""Penalties on the weights, as what they add to the gradient.

Each is an optax transform that stands before the clip, so that with the loss's
own gradient it is clipped as one. The loss that is logged is without it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jft import rules as rule_engine
from jft import tree
from jft.typing import Any, Callable, Params, Rules


class Anchor(NamedTuple):
  """The weights that L2-SP pulls towards: those at the start."""

  start: Params


def l1(strength: float, rules: Rules) -> optax.GradientTransformation:
  """The gradient of `strength` * sum |w| over the leaves that rules choose.

  Args:
    strength: of the penalty.
    rules: ordered (regex, bool) over the leaves' names.
  """
  return _stateless(lambda w: strength * jnp.sign(w), rules)


def l2(strength: float, rules: Rules) -> optax.GradientTransformation:
  """The gradient of `strength` / 2 * sum w^2: coupled weight decay.

  Args:
    strength: of the penalty.
    rules: ordered (regex, bool) over the leaves' names.
  """
  return _stateless(lambda w: strength * w, rules)


def l2_sp(
  alpha: float, beta: float, rules: Rules
) -> optax.GradientTransformation:
  """Pulls what was pretrained back to where it started, and the head to 0.

  The penalty is alpha / 2 * sum (w - w_start)^2, and beta / 2 * sum w^2 of the
  head, which has no pretrained weights. The start is kept in the state, so a
  resumed run pulls to the same place.

  Args:
    alpha: of the backbone; beta: of the head.
    rules: ordered (regex, bool) over the leaves' names.

  Source: Li et al., 2018, "Explicit Inductive Bias for Transfer Learning with
    Convolutional Networks" (arXiv:1802.01483), equation 3.

  >>> tx = l2_sp(0.1, 0.0, [(".*", True)])
  >>> state = tx.init({"w": jnp.float32(1)})
  >>> update, _ = tx.update({"w": jnp.float32(0)}, state, {"w": jnp.float32(3)})
  >>> round(float(update["w"]), 6)
  0.2
  """

  def init(params: Any) -> Anchor:
    return Anchor(jax.tree.map(jnp.copy, params))

  def update(updates, state: Any, params=None):
    start = tree.flatten(state.start)

    def pull(name: str, w: jax.Array) -> jax.Array:
      if name.startswith("head/"):
        return beta * w
      return alpha * (w - start[name])

    return _added(updates, params, pull, rules), state

  return optax.GradientTransformation(init, update)


def _stateless(
  gradient: Callable[[jax.Array], jax.Array], rules: Rules
) -> optax.GradientTransformation:
  def update(updates, state, params=None):
    added = _added(updates, params, lambda name, w: gradient(w), rules)
    return added, state

  return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _added(updates, params, gradient, rules: Rules):
  flat = tree.flatten(params)

  def add(name: str, update: jax.Array) -> jax.Array:
    if not rule_engine.first(rules, name):
      return update
    return update + gradient(name, flat[name]).astype(update.dtype)

  return tree.map_with_names(add, updates)
