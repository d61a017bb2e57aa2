"""Any pytree as named plain arrays, and back.

`jft.tree` names nested dicts; a train state also holds NamedTuples, empty nodes
and typed keys, none of which a file can hold.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jft.typing import Array


def flatten(tree: Any) -> dict[str, Any]:
  """Returns {name: leaf}; a name joins fields, indices and keys with "/".

  >>> flatten({"a": (1, {"b": 2})})
  {'a/0': 1, 'a/1/b': 2}
  """
  return {
    jax.tree_util.keystr(path, simple=True, separator="/"): leaf
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]
  }


def describe(tree: Any) -> dict[str, str]:
  """Returns {name: dtype and shape} of every leaf.

  >>> describe({"a": jnp.zeros((2, 3)), "key": jax.random.key(0)})
  {'a': 'float32[2,3]', 'key': 'key<fry>[]'}
  """
  return {
    name: f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
    for name, leaf in flatten(tree).items()
  }


def difference(saved: Mapping[str, str], wanted: Mapping[str, str]) -> str:
  """Returns how two descriptions differ, the first few leaves; "" if equal.

  >>> print(difference({"b": "int32[]"}, {"b": "int32[2]"}))
  1 leaf differs:
    b: saved int32[], expected int32[2]
  """
  rows = [
    f"{name}: saved {saved.get(name, 'nothing')},"
    f" expected {wanted.get(name, 'nothing')}"
    for name in {**wanted, **saved}
    if saved.get(name) != wanted.get(name)
  ]
  if not rows:
    return ""
  count = "1 leaf differs" if len(rows) == 1 else f"{len(rows)} leaves differ"
  more = ["..."] if len(rows) > 5 else []
  return "\n  ".join([f"{count}:", *rows[:5], *more])


def plain(tree: Any) -> dict[str, Array]:
  """Returns {name: array} for a file: keys as their data, no empty arrays."""
  return {
    name: jax.random.key_data(leaf) if _is_key(leaf) else leaf
    for name, leaf in flatten(tree).items()
    if leaf.size
  }


def targets(tree: Any) -> dict[str, jax.ShapeDtypeStruct]:
  """Returns {name: shape, dtype and sharding} of what `plain` returns."""
  leaves = flatten(tree)
  return {
    name: jax.ShapeDtypeStruct(
      struct.shape, struct.dtype, sharding=_sharding(leaves[name])
    )
    for name, struct in jax.eval_shape(plain, tree).items()
  }


def rebuild(tree: Any, arrays: Mapping[str, Array]) -> Any:
  """Returns `tree` with its leaves taken from `arrays`; inverse of `plain`."""
  new = []
  for name, leaf in flatten(tree).items():
    if not leaf.size:
      new.append(jnp.zeros(leaf.shape, leaf.dtype, device=_sharding(leaf)))
    elif _is_key(leaf):
      impl = jax.random.key_impl(leaf)
      new.append(jax.random.wrap_key_data(arrays[name], impl=impl))
    else:
      new.append(arrays[name])
  return jax.tree.unflatten(jax.tree.structure(tree), new)


def _is_key(leaf: Any) -> bool:
  return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _sharding(leaf: Any) -> Any:
  here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
  return getattr(leaf, "sharding", None) or here
