"""Prodigy: AdamW that finds its own rate."""

import jax
import jax.numpy as jnp
import optax
from optax import contrib

from jft.typing import Any, Callable, Params


def prodigy(
  rate: optax.Schedule,
  *,
  b1: float,
  b2: float,
  eps: float,
  weight_decay: float,
  mask: Callable[[Params], Params],
) -> optax.GradientTransformation:
  """Returns Prodigy; two things are otherwise than in optax's own.

  An update before the first gradient, or at a rate of 0 as warm-ups have it,
  estimates nothing, where optax's divides 0 by 0. And the decay has a mask.

  Args:
    rate: a share of the rate that it finds, 1 at its peak.
    b1, b2, eps: Adam's.
    weight_decay: decoupled; mask: params -> which leaves.

  Source: Mishchenko and Defazio, 2024 (arXiv:2306.06101), algorithm 4;
    github.com/konstmish/prodigy also skips what has no denominator yet.
  """
  inner = contrib.prodigy(rate, (b1, b2), eps=eps)

  def update(updates, state: Any, params: Any = None):
    found: Any = inner.update(updates, state, params)
    moved, new = found
    lr = state.estim_lr * rate(state.count) * _correction(new.count, b1, b2)
    moved = jax.tree.map(
      lambda u, p, decays: u - weight_decay * lr * p if decays else u,
      moved,
      params,
      mask(params),
    )
    empty = optax.tree.norm(new.grad_sum) == 0
    kept = state._replace(count=new.count), optax.tree.zeros_like(moved)
    new, moved = jax.tree.map(
      lambda old, x: jnp.where(empty, old, x), kept, (new, moved)
    )
    return moved, new

  return optax.GradientTransformation(inner.init, update)


def _correction(count: Any, b1: float, b2: float) -> Any:
  """Adam's, of both moments."""
  return (1 - b2**count) ** 0.5 / (1 - b1**count)
