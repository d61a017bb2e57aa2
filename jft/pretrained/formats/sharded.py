"""Models kept in several files, with a JSON index of which name is where."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from jft.errors import UserError
from jft.pretrained.formats.lazy import Tensors


def shards(path: str | Path) -> tuple[Path, ...]:
  """Returns the weight files an index names, in order of first mention.

  Raises:
    UserError: if the index is malformed, or a file is outside its folder or
      missing.
  """
  path = Path(path)
  found = tuple(
    path.parent / file for file in dict.fromkeys(_map(path).values())
  )
  if missing := [file.name for file in found if not _is_file(file)]:
    raise UserError(
      f"{path} names {len(found)} files, {len(missing)} are missing beside it:"
      f" {', '.join(name[:80] for name in missing[:3])}; download them too."
    )
  return found


def read(path: str | Path, read_shard: Callable[[Path], Tensors]) -> Tensors:
  """Reads an index such as `model.safetensors.index.json` and its shards.

  Args:
    path: the index, with the shards beside it.
    read_shard: reads one shard.

  Raises:
    UserError: if index and shards do not hold exactly the same names.
  """
  path = Path(path)
  where = _map(path)
  parts = {file.name: read_shard(file) for file in shards(path)}
  if lost := [name for name in where if name not in parts[where[name]]]:
    raise UserError(
      f"{path}: {len(lost)} names are not in the file the index gives, the"
      f" first: {lost[0]!r} in {where[lost[0]]}."
    )
  for file, part in parts.items():
    if extra := [name for name in part if where.get(name) != file]:
      raise UserError(
        f"{path}: {file} holds {len(extra)} names that the index does not put"
        f" there, the first: {extra[0]!r}."
      )
  specs = {name: parts[where[name]].specs[name] for name in where}

  def load(name: str) -> np.ndarray:
    return parts[where[name]][name]

  def blocks(name: str, rows: int) -> Iterator[np.ndarray]:
    read_blocks = parts[where[name]].blocks
    return (
      iter([load(name)]) if read_blocks is None else read_blocks(name, rows)
    )

  return Tensors(specs, load, blocks)


def _is_file(path: Path) -> bool:
  try:
    return path.is_file()
  except OSError:  # a name that is too long
    return False


def _map(path: Path) -> Mapping[str, str]:
  try:
    where = json.loads(path.read_bytes())["weight_map"]
  except OSError as error:
    raise UserError(f"cannot read {path}: {error}.") from error
  except (ValueError, KeyError, TypeError, RecursionError) as error:
    raise UserError(f"{path} is no index: it has no weight_map.") from error
  if not isinstance(where, dict) or not where:
    raise UserError(f"{path} is no index: its weight_map is empty or no dict.")
  for name, file in where.items():
    # A shard lies beside its index; anything else could read any file, and an
    # index among the shards could name itself.
    if (
      not isinstance(file, str)
      or file in {"", ".", ".."}
      or any(c in file for c in "/\\\0")
      or file.endswith(".json")
    ):
      raise UserError(
        f"{path}: {name!r} is said to be in {file!r}, which is not the name of"
        " a weights file."
      )
  return where
