"""Which leaf broke: looked for by the step itself, only once a step is bad."""

import jax
import jax.numpy as jnp

from jft import leaves
from jft.typing import Array, Float, Int, Params, Variables

NOBODY = -1


def bad_leaf(
  loss: Float[Array, ""],
  grad_norm: Float[Array, ""],
  params: Params,
  model_state: Variables,
  grads: Params,
) -> Int[Array, ""]:
  """Returns the index in `names` of the first leaf that is not finite.

  A leaf that came into the step broken goes before a gradient that the step
  broke. The search is a branch that the device takes for a bad step alone.

  Args:
    loss, grad_norm: of the step; both finite: nobody is to blame.
    params: the trainable half, before the update.
    model_state: the collections, before the update.
    grads: of the leaves that are differentiated.

  Returns:
    The index, or -1.
  """
  by_name = leaves.flatten(grads)
  checked = [*leaves.flatten((params, model_state)).values()]
  checked += [by_name.get(name) for name in leaves.flatten(params)]

  def search() -> Array:
    bad = [
      jnp.asarray(False) if leaf is None else ~jnp.isfinite(leaf).all()
      for leaf in checked
    ]
    first = jnp.argmax(jnp.stack(bad)).astype(jnp.int32)
    return jnp.where(jnp.stack(bad).any(), first, NOBODY)

  fine = jnp.isfinite(loss) & jnp.isfinite(grad_norm)
  return jax.lax.cond(fine, lambda: jnp.int32(NOBODY), search)


def names(params: Params, model_state: Variables) -> tuple[str, ...]:
  """Returns what the indices of `bad_leaf` mean, in order.

  >>> names({"w": 0.0}, {"batch_stats": {"mean": 0.0}})
  ('params/w', 'model_state/batch_stats/mean', 'gradient of params/w')
  """
  trained = [f"params/{name}" for name in leaves.flatten(params)]
  kept = [f"model_state/{name}" for name in leaves.flatten(model_state)]
  return (*trained, *kept, *(f"gradient of {name}" for name in trained))
