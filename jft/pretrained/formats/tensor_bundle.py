"""TensorFlow's checkpoints: NAME.index and NAME.data-00000-of-00001.

Without TensorFlow. The index is a table of small records, one a tensor; the
data files are the tensors' bytes. Both carry checksums, and all are looked at.

Source: tensorflow/core/util/tensor_bundle/tensor_bundle.h and
tensorflow/core/protobuf/tensor_bundle.proto.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import ml_dtypes
import numpy as np

from jft.errors import UserError
from jft.pretrained.formats import crc32c, sstable
from jft.pretrained.formats.lazy import Tensors, as_dtype, read_span
from jft.pretrained.formats.sstable import varint

MAX_INDEX = 64 * 2**20  # bytes; a large model's takes 0.1 MB
MAX_SHARDS = 10_000
OBJECT = "/.ATTRIBUTES/VARIABLE_VALUE"  # what TF 2 adds to a variable's path

_STRING = 7
_DTYPES = {
  1: np.float32,
  2: np.float64,
  3: np.int32,
  4: np.uint8,
  5: np.int16,
  6: np.int8,
  8: np.complex64,
  9: np.int64,
  10: np.bool_,
  14: ml_dtypes.bfloat16,
  17: np.uint16,
  18: np.complex128,
  19: np.float16,
  22: np.uint32,
  23: np.uint64,
  24: ml_dtypes.float8_e5m2,
  25: ml_dtypes.float8_e4m3fn,
}


@dataclass(frozen=True)
class Entry:
  """Where a tensor lies."""

  dtype: np.dtype
  shape: tuple[int, ...]
  shard: int
  offset: int
  nbytes: int
  crc: int


def is_index(path: Path) -> bool:
  """Whether a file ends like an index."""
  with open(path, "rb") as file:
    size = file.seek(0, 2)
    file.seek(max(size - len(sstable.MAGIC), 0))
    return file.read() == sstable.MAGIC


def shards(path: str | Path) -> tuple[Path, ...]:
  """Returns the data files of an index.

  Raises:
    UserError: if the index is damaged or a file is missing.
  """
  return _read_index(Path(path))[1]


def read(path: str | Path) -> Tensors:
  """Reads the index now and each tensor when it is asked for.

  Args:
    path: the `.index` file, with its data files beside it.

  Returns:
    The variables by name; of a TF 2 checkpoint by their path in the object.
    Texts, such as the description of that object, are left out.

  Raises:
    UserError: if a file is damaged or missing, or a variable is partitioned.
  """
  entries, files = _read_index(Path(path))
  sizes = [file.stat().st_size for file in files]
  for name, entry in entries.items():
    if entry.offset + entry.nbytes > sizes[entry.shard]:
      raise UserError(
        f"{files[entry.shard]} is truncated: {name!r} takes {entry.nbytes}"
        f" bytes at {entry.offset}, the file has {sizes[entry.shard]}."
      )
  specs = {
    name: jax.ShapeDtypeStruct(entry.shape, entry.dtype)
    for name, entry in entries.items()
  }

  def load(name: str) -> np.ndarray:
    entry = entries[name]
    data = read_span(files[entry.shard], entry.offset, entry.nbytes)
    if crc32c.of(data) != entry.crc:
      raise UserError(
        f"{files[entry.shard]}: {name!r} does not match its checksum; copy or"
        " download the file again."
      )
    return as_dtype(data, entry.dtype).reshape(entry.shape)

  return Tensors(specs, load)


def _read_index(path: Path) -> tuple[dict[str, Entry], tuple[Path, ...]]:
  try:
    if (size := path.stat().st_size) > MAX_INDEX:
      raise UserError(f"it has {size} bytes, allowed are {MAX_INDEX}")
    rows = list(sstable.entries(path.read_bytes()))
    if not rows or rows[0][0]:
      raise UserError("it does not begin with a header")
    count = _header(rows[0][1])
    entries = {}
    for key, value in rows[1:]:
      name = key.decode("utf-8", "replace").removesuffix(OBJECT)
      if name in entries:
        raise UserError(f"two tensors are called {name!r}")
      if (found := entry(name, value, count)) is not None:
        entries[name] = found
  except UserError as error:
    raise UserError(f"{path}: {str(error).rstrip('.')}.") from error
  except OSError as error:
    raise UserError(f"cannot read {path}: {error}.") from error
  stem = path.name.removesuffix(".index")
  files = tuple(
    path.parent / f"{stem}.data-{i:05d}-of-{count:05d}" for i in range(count)
  )
  if missing := [file.name for file in files if not file.is_file()]:
    raise UserError(
      f"{path} has {count} data files, {len(missing)} are missing beside it:"
      f" {', '.join(missing[:3])}; copy them too."
    )
  return entries, files


def _header(data: bytes) -> int:
  fields = dict(_fields(data))
  count = fields.get(1, 1)
  if fields.get(2, 0) != 0:
    raise UserError("written on a big-endian machine; save it on another")
  if not isinstance(count, int) or not 0 < count <= MAX_SHARDS:
    raise UserError(f"its header claims {count!r} data files")
  return count


def entry(name: str, data: bytes, count: int) -> Entry | None:
  """Returns what a record of the index says of a tensor, None for a text.

  Args:
    name: of the tensor, for messages.
    data: the record, a BundleEntryProto.
    count: of data files.

  Raises:
    UserError: if it is malformed, or no tensor that jft can hold.
  """
  fields = dict(_fields(data))
  code = fields.get(1, 0)
  if code == _STRING:
    return None
  if 7 in fields:
    raise UserError(
      f"{name!r} is partitioned over several tensors; save it as one"
    )
  if code not in _DTYPES:
    raise UserError(f"{name!r} has dtype number {code!r}, which jft lacks")
  dtype, shape = np.dtype(_DTYPES[code]), _shape(name, fields.get(2, b""))
  shard, offset, nbytes = (_number(name, fields.get(i, 0)) for i in (3, 4, 5))
  crc = fields.get(6)
  if not isinstance(crc, bytes) or len(crc) != 4:
    raise UserError(f"{name!r} has no checksum")
  expected = math.prod(shape) * dtype.itemsize
  if shard >= count or nbytes != expected:
    raise UserError(
      f"{name!r} {dtype} {shape} takes {expected} bytes, got {nbytes} in data"
      f" file {shard} of {count}"
    )
  stored = crc32c.unmask(int.from_bytes(crc, "little"))
  return Entry(dtype, shape, shard, offset, nbytes, stored)


def _number(name: str, value: int | bytes) -> int:
  if not isinstance(value, int):
    raise UserError(f"{name!r} is malformed")
  return value


def _shape(name: str, data: Any) -> tuple[int, ...]:
  shape = []
  for number, dim in _fields(data if isinstance(data, bytes) else b""):
    if number == 2 and isinstance(dim, bytes):
      shape.append(dict(_fields(dim)).get(1, 0))
  if (
    len(shape) > 32
    or not all(isinstance(n, int) and n < 2**40 for n in shape)
    or math.prod(max(n, 1) for n in shape) >= 2**60
  ):
    raise UserError(f"{name!r} has an impossible shape")
  return tuple(shape)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
  """Yields (number, value) of a protocol buffer's fields."""
  at = 0
  while at < len(data):
    tag, at = varint(data, at)
    number, kind = tag >> 3, tag & 7
    if kind == 0:
      value, at = varint(data, at)
      yield number, value
      continue
    size, at = varint(data, at) if kind == 2 else ({1: 8, 5: 4}.get(kind), at)
    if size is None or at + size > len(data):
      raise UserError("a record in it is cut or malformed")
    yield number, data[at : at + size]
    at += size
