"""Names for leaves, and a tree split in two by name and merged again.

A tree here is a nested dict of arrays (a params tree, a state dict). A leaf's
name is its path joined with "/": `encoder/block_03/mlp/kernel`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jft.errors import UserError


def flatten(tree: Mapping[str, Any]) -> dict[str, Any]:
  """Returns {name: leaf}, in the tree's own (sorted) order.

  Raises:
    UserError: if a key holds "/" or a node is not a dict.

  >>> flatten({"head": {"kernel": 1, "bias": 2}})
  {'head/bias': 2, 'head/kernel': 1}
  """
  return {
    _name(path): leaf
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]
  }


def unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the nested dict whose `flatten` is `flat`.

  >>> unflatten({"head/bias": 2, "head/kernel": 1})
  {'head': {'bias': 2, 'kernel': 1}}
  """
  tree: dict[str, Any] = {}
  for name, leaf in flat.items():
    *parents, last = name.split("/")
    node = tree
    for key in parents:
      node = node.setdefault(key, {})
    node[last] = leaf
  return tree


def map_with_names(
  fn: Callable[[str, Any], Any], tree: Mapping[str, Any]
) -> dict[str, Any]:
  """Returns the tree with every leaf replaced by `fn(name, leaf)`.

  Nodes without leaves stay where they are (optax marks holes with them).
  """
  return jax.tree_util.tree_map_with_path(
    lambda path, leaf: fn(_name(path), leaf), tree
  )


def split(
  tree: Mapping[str, Any], keep: Callable[[str], bool]
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Splits by name: (the leaves that `keep` accepts, all others).

  Both halves are ordinary nested dicts without holes, so each can be given to
  optax, Orbax or `jax.grad` as it is. `merge` is the inverse.

  >>> split({"a": {"x": 1, "y": 2}}, lambda name: name == "a/x")
  ({'a': {'x': 1}}, {'a': {'y': 2}})
  """
  flat = flatten(tree)
  kept = {name: leaf for name, leaf in flat.items() if keep(name)}
  rest = {name: leaf for name, leaf in flat.items() if name not in kept}
  return unflatten(kept), unflatten(rest)


def merge(*trees: Mapping[str, Any]) -> dict[str, Any]:
  """Merges trees with disjoint leaves into one.

  Raises:
    UserError: if two trees hold a leaf of the same name.

  >>> merge({"a": {"x": 1}}, {"a": {"y": 2}})
  {'a': {'x': 1, 'y': 2}}
  """
  merged: dict[str, Any] = {}
  for tree in trees:
    flat = flatten(tree)
    if both := merged.keys() & flat.keys():
      raise UserError(f"both trees hold {sorted(both)[:3]}; split them first.")
    merged |= flat
  return unflatten(dict(sorted(merged.items())))


def count(tree: Any) -> int:
  """Returns the number of scalars in a tree (its parameter count)."""
  return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def nbytes(tree: Any) -> int:
  """Returns the bytes a tree takes, of arrays or of shape/dtype structs."""
  return sum(
    int(np.prod(leaf.shape)) * leaf.dtype.itemsize
    for leaf in jax.tree.leaves(tree)
  )


def _name(path: Sequence[Any]) -> str:
  if not all(isinstance(entry, jax.tree_util.DictKey) for entry in path):
    raise UserError(
      f"only nested dicts have names, got a leaf at"
      f" {jax.tree_util.keystr(tuple(path))}; turn the node above it into a"
      " dict (for NNX: nnx.to_pure_dict(state))."
    )
  keys = [str(entry.key) for entry in path]
  if any("/" in key for key in keys):
    raise UserError(f'a key of a tree may not hold "/", got {keys}.')
  return "/".join(keys)
