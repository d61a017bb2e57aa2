"""Adapters worked into the weights, through a gate; and taken out again."""

import dataclasses

import jax
import jax.numpy as jnp

from jft.adapters.adapted import Adapted, base
from jft.errors import UserError
from jft.net import Net
from jft.tuning import quantized
from jft.tuning.adapters.method import ADAPTERS
from jft.typing import Any


@dataclasses.dataclass(frozen=True)
class Merged(Net):
  """A network whose adapters are worked into its weights.

  Attributes:
    unmerged: what it was made from.
    difference: the outputs' largest, over the largest output.
  """

  unmerged: Adapted
  difference: float


TOLERANCE = 1e-4
COARSE = 3e-2  # of bfloat16, a few of its steps


def merge(
  net: Adapted, inputs: Any, *, tolerance: float | None = None
) -> Merged:
  """Returns the network with its running adapters worked into the weights.

  Args:
    net: the network.
    inputs: real ones, on which both are compared.
    tolerance: largest difference of an output, as a share of the largest; None
      is 1e-4, and 3e-2 where they are of fewer than 32 bits.

  Raises:
    UserError: if an adapter cannot be merged, changes nothing, or the merged
      network's outputs differ.
  """
  if quantized.is_quantized(net.params):
    raise UserError(
      "merge: the base is quantised, its kernels are codes; make it float first"
      " by jft.quantize.dequantize(net)."
    )
  params, trees = base(net.params), net.params.get(ADAPTERS, {})
  for name in net.active:
    params = net.methods[name].merge(params, trees[name])
  variables = {**net.variables, "params": params}
  apply = jax.jit(net.apply)
  ours, theirs = apply(variables, inputs), apply(net.variables, inputs)
  before = apply({**net.variables, "params": base(net.params)}, inputs)
  if tolerance is None:
    coarse = any(x.dtype.itemsize < 4 for x in jax.tree.leaves(theirs))
    tolerance = COARSE if coarse else TOLERANCE
  difference = _difference(ours, theirs)
  if _difference(ours, before) == 0:
    raise UserError(
      f"the adapters {list(net.active)} change no output: they are not trained,"
      " or not the ones that were; nothing was merged."
    )
  if not difference <= tolerance:
    raise UserError(
      f"merged, the network's outputs differ by {difference:.1e} of the largest"
      f" one, more than {tolerance:.0e}; keep the adapters beside it, or merge"
      " in float32."
    )
  return Merged(
    net.apply, variables, net.spec, net.report, net, float(difference)
  )


def unmerge(net: Merged) -> Adapted:
  """Returns the network that was merged; its own weights, bit for bit."""
  return net.unmerged


def _difference(ours: Any, theirs: Any) -> float:
  worst = 0.0
  for x, y in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
    x, y = jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)
    largest = jnp.maximum(jnp.max(jnp.abs(y)), 1e-6)
    share = float(jnp.max(jnp.abs(x - y)) / largest)
    worst = share if share != share else max(worst, share)
    if worst != worst:  # no number, which no other may hide
      break
  return worst
