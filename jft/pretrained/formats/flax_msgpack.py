"""Flax's msgpack files, such as `flax_model.msgpack`: a nested dict of arrays.

The file is walked over, and an array's bytes are skipped until it is asked
for; msgpack's own package would hold the whole file in memory.

Source: flax/serialization.py; https://github.com/msgpack/msgpack/blob/master/spec.md
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import ml_dtypes
import numpy as np

from jft import atomic
from jft.errors import UserError
from jft.pretrained.formats.lazy import Tensors, aligned, as_dtype, read_span
from jft.pretrained.formats.msgpack_walk import Span, Walk

CHUNKED = "__msgpack_chunked_array__"
_NDARRAY, _NPSCALAR = 1, 3  # flax's extension types; 2 is a complex number
_EXTENDED = ("bfloat16", "float8_e4m3fn", "float8_e5m2")


@dataclass(frozen=True)
class Leaf:
  """An array: where its bytes lie, in one piece or several."""

  dtype: np.dtype
  shape: tuple[int, ...]
  spans: tuple[Span, ...]


def read(path: str | Path) -> Tensors:
  """Reads names and shapes now and each array when it is asked for.

  Args:
    path: what `flax.serialization.to_bytes` or `msgpack_serialize` wrote.

  Returns:
    The nested dict's leaves, named by their keys joined with "/". Numbers
    beside the arrays are arrays without axes; None is left out.

  Raises:
    UserError: if the file is damaged or holds anything else.
  """
  path = Path(path)
  try:
    size = path.stat().st_size
    with open(path, "rb") as file:
      walk = Walk(file, size)
      tree = walk.value()
      if file.tell() != size:
        raise UserError(
          f"it ends at byte {file.tell()}, the file has {size} bytes"
        )
      leaves: dict[str, Leaf | np.ndarray] = {}
      _collect(walk, tree, "", leaves)
  except UserError as error:
    raise UserError(f"{path}: {str(error).rstrip('.')}.") from error
  except OSError as error:
    raise UserError(f"cannot read {path}: {error}.") from error
  specs = {
    name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
    for name, leaf in leaves.items()
  }
  return Tensors(specs, lambda name: _load(path, leaves[name]))


def write(path: str | Path, tree: Mapping[str, Any]) -> None:
  """Writes a file that either appears complete or not at all.

  Args:
    path: where to.
    tree: a nested dict of arrays.
  """
  from flax import serialization

  atomic.write_bytes(path, serialization.msgpack_serialize(dict(tree)))


def _collect(
  walk: Walk, value: Any, name: str, leaves: dict[str, Leaf | np.ndarray]
) -> None:
  """Puts the leaves under a value into `leaves`; as deep as Walk allows."""
  if isinstance(value, Mapping) and CHUNKED not in value:
    for key, inner in value.items():
      _collect(walk, inner, f"{name}/{key}" if name else key, leaves)
  elif value is None:
    return
  elif not name:
    raise UserError(f"it holds a {type(value).__name__}, expected named arrays")
  elif name in leaves:
    raise UserError(f"two leaves are called {name!r}")
  elif isinstance(value, Mapping):
    leaves[name] = _chunked(walk, name, value)
  elif isinstance(value, Span):
    leaves[name] = _leaf(walk, name, value)
  elif isinstance(value, bool | int | float):
    leaves[name] = np.asarray(value)
  else:
    raise UserError(f"{name!r} is a {type(value).__name__}, not an array")


def _leaf(walk: Walk, name: str, span: Span) -> Leaf:
  if span.code not in (_NDARRAY, _NPSCALAR):
    raise UserError(f"{name!r} has extension type {span.code}, not an array's")
  found = walk.inside(span)
  if not isinstance(found, list) or len(found) != 3:
    raise UserError(f"{name!r} is no array: it lacks shape, dtype or bytes")
  shape, dtype, data = found
  dtype = dtype.decode("latin-1") if isinstance(dtype, bytes) else dtype
  made = _dtype(name, dtype)
  if not isinstance(data, Span):
    raise UserError(f"{name!r} is an array without bytes")
  _check(name, shape, made, data.nbytes)
  return Leaf(made, tuple(shape), (data,))


def _chunked(walk: Walk, name: str, value: Mapping[str, Any]) -> Leaf:
  shape, chunks = (_in_turn(name, value.get(k)) for k in ("shape", "chunks"))
  if not chunks or not all(isinstance(chunk, Span) for chunk in chunks):
    raise UserError(f"{name!r} is an array of chunks that has none")
  parts = [_leaf(walk, name, chunk) for chunk in chunks]
  dtype = parts[0].dtype
  if any(p.dtype != dtype or len(p.shape) != 1 for p in parts):
    raise UserError(f"{name!r} has chunks of several kinds")
  spans = tuple(part.spans[0] for part in parts)
  _check(name, shape, dtype, sum(span.nbytes for span in spans))
  return Leaf(dtype, tuple(shape), spans)


def _in_turn(name: str, value: Any) -> list[Any]:
  """Returns the values of {"0": ..., "1": ...}, which flax makes of a tuple."""
  if not isinstance(value, Mapping) or list(value) != [
    str(i) for i in range(len(value))
  ]:
    raise UserError(f"{name!r} is an array of chunks without shape or chunks")
  return list(value.values())


def _dtype(name: str, dtype: Any) -> np.dtype:
  if dtype in _EXTENDED:
    return np.dtype(getattr(ml_dtypes, dtype))
  known = isinstance(dtype, str) and dtype in np.sctypeDict
  made = np.dtype(dtype if known else object)
  if made.kind not in "biufc" or made.char in "gG":
    raise UserError(f"{name!r} has dtype {str(dtype)[:40]!r}, not a number's")
  return made


def _check(name: str, shape: Any, dtype: np.dtype, nbytes: int) -> None:
  if (
    not isinstance(shape, list)
    or len(shape) > 32
    or not all(type(n) is int and 0 <= n < 2**40 for n in shape)
    or math.prod(max(n, 1) for n in shape) >= 2**60
  ):
    raise UserError(f"{name!r} has an impossible shape")
  expected = math.prod(shape) * dtype.itemsize
  if expected != nbytes:
    raise UserError(
      f"{name!r} {dtype} {tuple(shape)} takes {expected} bytes, got {nbytes}"
    )


def _load(path: Path, leaf: Leaf | np.ndarray) -> np.ndarray:
  if isinstance(leaf, np.ndarray):
    return leaf.copy()
  if len(leaf.spans) == 1:
    (span,) = leaf.spans
    data = read_span(path, span.start, span.nbytes)
  else:
    data, at = aligned((sum(s.nbytes for s in leaf.spans),), np.uint8), 0
    for span in leaf.spans:
      data[at : at + span.nbytes] = read_span(path, span.start, span.nbytes)
      at += span.nbytes
  return as_dtype(data, leaf.dtype).reshape(leaf.shape)
