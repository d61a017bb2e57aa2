"""The shapes of a network's variables, without a value."""

import dataclasses
import re

import jax

from jft import tree
from jft.typing import Any

_FIRST = re.compile(r"(\w+/)block_00/(.*)")


def variables(
  module: Any, config: Any, inputs: Any
) -> dict[str, jax.ShapeDtypeStruct]:
  """Returns {name: shape and dtype} of what `module.init` would make.

  A transformer's blocks all hold the same: one is traced, in a twelfth or a
  thirtieth of the time.

  Args:
    module: a Linen module of `config`.
    config: with `depth` where all its blocks hold the same variables.
    inputs: what the module reads, of any size, or the shapes of it.
  """
  depth = getattr(config, "depth", 1)
  if depth > 1:
    module = module.clone(config=_of_one_block(config))

  def init(inputs: Any) -> Any:
    return module.init(jax.random.key(0), inputs)

  found = tree.flatten(jax.eval_shape(init, inputs))
  for name in [name for name in found if _FIRST.fullmatch(name)]:
    for i in range(1, depth):
      found[_FIRST.sub(rf"\1block_{i:02d}/\2", name)] = found[name]
  return dict(sorted(found.items()))


def _of_one_block(config: Any) -> Any:
  kinds = getattr(config, "layer_types", ())
  more = {"layer_types": kinds[:1]} if kinds else {}
  return dataclasses.replace(config, depth=1, **more)
