"""Surgical fine-tuning: train the parts whose gradient is relatively largest.

Which part of a network should be tuned depends on how the new data differ: in
their looks the first blocks, in their labels the last. A few gradients tell.
"""

import math

import jax.numpy as jnp

from jft import tree
from jft.errors import UserError
from jft.tuning import depth
from jft.typing import Array, Callable, Iterable, Mapping, Params

_NORM = "norm"


def ratios(
  params: Params,
  gradients: Iterable[Params],
  part: Callable[[str], str] = depth.part,
) -> dict[str, float]:
  """Returns {part: relative gradient norm}, the mean over some batches.

  Of a part it is the norm of its gradient over the norm of its parameters. As
  in the original, normalisations do not count, and a part of nothing else is
  left out; so is the head.

  Args:
    params: nested dict of arrays.
    gradients: of the same leaves, one tree a batch.
    part: name of a leaf -> name of its part.

  Raises:
    UserError: if there is no gradient, or a part has no norm.

  Source: Lee et al., 2023, "Surgical Fine-Tuning Improves Adaptation to
  Distribution Shifts" (arXiv:2210.11466), Auto-RGN; `get_lr_weights` of its
  code, which measures each tensor alone: `part=lambda name: name`.

  >>> ratios({"stem": {"kernel": jnp.array([3.0, 4.0])}},
  ...        [{"stem": {"kernel": jnp.array([0.0, 1.0])}}])
  {'below': 0.2}
  """
  size = {n: float(x) for n, x in squares(params, part).items()}
  if empty := [name for name, square in size.items() if not square > 0]:
    raise UserError(
      f"every parameter of {empty[0]!r} is zero: a gradient relative to it is"
      " no number."
    )
  found = [squares(gradient, part) for gradient in gradients]
  if not found:
    raise UserError("no gradient to measure with: give at least one batch.")
  return {
    name: sum(math.sqrt(float(one[name]) / square) for one in found)
    / len(found)
    for name, square in size.items()
  }


def squares(
  leaves: Params, part: Callable[[str], str] = depth.part
) -> dict[str, Array]:
  """Returns {part: sum of squares} without normalisations and the head.

  Args:
    leaves: nested dict of parameters or gradients.
    part: name of a leaf -> name of its part.
  """
  sums: dict[str, Array] = {}
  for name, leaf in tree.flatten(leaves).items():
    owner = name.rpartition("/")[0].rpartition("/")[2]
    if _NORM in owner or depth.part(name) in (depth.HEAD, depth.APART):
      continue
    square = jnp.sum(jnp.square(leaf.astype(jnp.float32)))
    sums[part(name)] = sums.get(part(name), jnp.zeros(())) + square
  return sums


def choose(ratios: Mapping[str, float], k: int) -> tuple[str, ...]:
  """Returns the `k` parts of the highest ratios, the highest first.

  Args:
    ratios: as `ratios` returns; of equal ones the first in order is taken.
    k: how many.

  Raises:
    UserError: if there are fewer parts, or no gradient reaches any.

  >>> choose({"below": 0.1, "block_00": 0.3, "block_01": 0.2}, 2)
  ('block_00', 'block_01')
  """
  check(ratios, k)
  if not all(math.isfinite(ratio) for ratio in ratios.values()) or not any(
    ratios.values()
  ):
    raise UserError(
      f"the gradients say nothing about the parts ({dict(ratios)}): a head that"
      " starts at zero lets none through (set model.head_init='family'), and"
      " one that is not finite hides the others."
    )
  return tuple(sorted(ratios, key=lambda name: -ratios[name])[:k])


def check(parts: Iterable[str], k: int) -> None:
  """Raises UserError unless there are `k` parts to choose."""
  parts = list(parts)
  if not 1 <= k <= len(parts):
    raise UserError(
      f"tune.blocks={k}: the model has {len(parts)} parts"
      f" ({', '.join(parts)}); choose 1 to {len(parts)}."
    )
