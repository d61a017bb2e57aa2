"""Orbax checkpoints: a folder with a tree of arrays.

Orbax reads its own files; one array is restored at a time. What the folder
claims to hold is first compared with what it takes on the disk.
"""

import math
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jft.errors import UserError
from jft.pretrained.formats.lazy import Tensors
from jft.pretrained.formats.zip_files import MAX_INFLATED, MAX_RATIO

METADATA = "_METADATA"
ITEMS = ("default", "params", "state")  # of a step of a CheckpointManager


def find(folder: Path) -> Path | None:
  """Returns the folder of the tree: itself, or the one item in a step."""
  if (folder / METADATA).is_file():
    return folder
  found = [folder / i for i in ITEMS if (folder / i / METADATA).is_file()]
  return found[0] if len(found) == 1 else None


def files(folder: Path) -> tuple[Path, ...]:
  """Returns all files of a checkpoint, sorted."""
  return tuple(sorted(path for path in folder.rglob("*") if path.is_file()))


def read(path: str | Path) -> Tensors:
  """Reads names and shapes now and each array when it is asked for.

  Args:
    path: what `StandardCheckpointer` or `PyTreeCheckpointer` saved, or a step
      of a `CheckpointManager` with one item.

  Returns:
    The tree's leaves, named by their keys joined with "/".

  Raises:
    UserError: if it is damaged, or claims more than the folder can hold.
  """
  folder = find(Path(path).absolute())
  if folder is None:
    raise UserError(
      f"{path} is no Orbax checkpoint of one tree: neither it nor one of"
      f" {', '.join(ITEMS)} in it has a {METADATA}."
    )
  found = _guarded(folder, lambda ocp, saver: _metadata(saver, folder))
  leaves = {_name(keys): (keys, spec) for keys, spec in found}
  if len(leaves) != len(found):
    raise UserError(f"{folder}: two leaves are called the same.")
  specs = {name: spec for name, (_, spec) in leaves.items()}
  stored = sum(file.stat().st_size for file in files(folder))
  for name, spec in specs.items():
    nbytes = math.prod(spec.shape) * spec.dtype.itemsize
    if nbytes > max(MAX_INFLATED, MAX_RATIO * stored):
      raise UserError(
        f"{folder}: {name!r} claims {nbytes} bytes, the folder has {stored}."
      )

  def load(name: str) -> np.ndarray:
    keys, spec = leaves[name]
    array = _guarded(
      folder, lambda ocp, saver: _restore(ocp, saver, folder, keys, spec)
    )
    if array.shape != spec.shape or array.dtype != spec.dtype:
      raise UserError(
        f"{folder}: {name!r} is {array.dtype} {array.shape}, its description"
        f" says {spec.dtype} {spec.shape}."
      )
    return array

  return Tensors(specs, load)


def write(path: str | Path, tree: Any) -> None:
  """Writes a nested dict of arrays as `StandardCheckpointer` does.

  Args:
    path: the folder, which must not be there.
    tree: the arrays.
  """
  import orbax.checkpoint as ocp

  with ocp.StandardCheckpointer() as saver:
    saver.save(Path(path).absolute(), tree)


def _metadata(saver: Any, folder: Path) -> list[tuple[Any, Any]]:
  """Returns (keys, shape and dtype) of each leaf."""
  tree = saver.metadata(folder).item_metadata.tree
  flat, _ = jax.tree_util.tree_flatten_with_path(tree)
  return [
    (keys, jax.ShapeDtypeStruct(tuple(leaf.shape), np.dtype(leaf.dtype)))
    for keys, leaf in flat
    if getattr(leaf, "shape", None) is not None  # texts and None have none
  ]


def _restore(ocp: Any, saver: Any, folder: Path, keys: Any, spec: Any) -> Any:
  item, args = spec, ocp.RestoreArgs(restore_type=np.ndarray)
  for key in reversed(keys):
    if not isinstance(key, jax.tree_util.DictKey):
      raise UserError(
        f"{folder}: {_name(keys)!r} is in a list; jft reads dicts of arrays."
      )
    item, args = {key.key: item}, {key.key: args}
  request = ocp.args.PyTreeRestore(
    item=item, restore_args=args, partial_restore=True
  )
  made = saver.restore(folder, args=request)
  for key in keys:
    made = made[key.key]
  return np.asarray(made)


def _guarded(folder: Path, work: Any) -> Any:
  import orbax.checkpoint as ocp

  try:
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as saver:
      return work(ocp, saver)
  except UserError:
    raise
  # Orbax and the library under it have no error of their own in common.
  except Exception as error:
    raise UserError(
      f"{folder} is no Orbax checkpoint that can be read, or damaged"
      f" ({type(error).__name__}: {str(error)[:200]}); copy it again."
    ) from error


def _name(keys: Any) -> str:
  return "/".join(
    str(getattr(key, "key", getattr(key, "idx", key))) for key in keys
  )
