"""The safetensors format: a JSON header, then the tensors' raw bytes.

Source: https://github.com/huggingface/safetensors#format. The header is read
here and not by the package, whose NumPy side knows no bfloat16 or float8 and
whose errors name neither the file nor the tensor.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import ml_dtypes
import numpy as np

from jft import atomic
from jft.errors import UserError
from jft.pretrained.formats import sharded
from jft.pretrained.formats.lazy import (
  Tensors,
  as_dtype,
  lent,
  read_span,
  row_spans,
)
from jft.typing import ArrayLike

# The package's own limit; the header of a 1000-tensor file takes 0.1 MB.
MAX_HEADER = 100_000_000

DTYPES: Mapping[str, np.dtype] = {
  "BOOL": np.dtype(np.bool_),
  "U8": np.dtype(np.uint8),
  "I8": np.dtype(np.int8),
  "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
  "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
  "I16": np.dtype(np.int16),
  "U16": np.dtype(np.uint16),
  "F16": np.dtype(np.float16),
  "BF16": np.dtype(ml_dtypes.bfloat16),
  "I32": np.dtype(np.int32),
  "U32": np.dtype(np.uint32),
  "F32": np.dtype(np.float32),
  "C64": np.dtype(np.complex64),
  "F64": np.dtype(np.float64),
  "I64": np.dtype(np.int64),
  "U64": np.dtype(np.uint64),
}


def read(path: str | Path) -> Tensors:
  """Reads the header now and each tensor when it is asked for.

  Args:
    path: a `.safetensors` file.

  Raises:
    UserError: if the file is truncated, padded, or its header malformed.
  """
  path = Path(path)
  header, start = _header(path)
  header.pop("__metadata__", None)
  spans = {name: _span(path, name, row) for name, row in header.items()}
  _check_cover(path, list(spans.values()), start)
  specs = {
    name: jax.ShapeDtypeStruct(header[name]["shape"], _dtype(header[name]))
    for name in spans
  }

  def load(name: str) -> np.ndarray:
    begin, end = spans[name]
    data = read_span(path, start + begin, end - begin)
    return as_dtype(data, specs[name].dtype).reshape(specs[name].shape)

  def blocks(name: str, rows: int) -> Iterator[np.ndarray]:
    (begin, _), spec = spans[name], specs[name]
    for first, count, shape in row_spans(spec.shape, spec.dtype.itemsize, rows):
      data = read_span(path, start + begin + first, count, lent)
      yield as_dtype(data, spec.dtype).reshape(shape)

  return Tensors(specs, load, blocks)


def read_metadata(path: str | Path) -> dict[str, str]:
  """Returns the header's `__metadata__`, {} if it has none."""
  header, _ = _header(Path(path))
  return header.get("__metadata__", {})


def read_index(path: str | Path) -> Tensors:
  """Reads a sharded model through its `model.safetensors.index.json`."""
  return sharded.read(path, read)


def write(
  path: str | Path,
  tensors: Mapping[str, ArrayLike],
  metadata: Mapping[str, str] | None = None,
) -> None:
  """Writes a file that either appears complete or not at all.

  Args:
    path: where to; an existing file is replaced in one step.
    tensors: {name: array}; read one at a time.
    metadata: strings to keep in the header.

  Raises:
    UserError: for a dtype the format does not have, or metadata not strings.
  """
  head, order = _make_header(tensors, metadata or {})
  with atomic.replacing(path) as file:
    file.write(head)
    for name in order:
      file.write(np.asarray(tensors[name]).tobytes())


def _make_header(
  tensors: Mapping[str, ArrayLike], metadata: Mapping[str, str]
) -> tuple[bytes, list[str]]:
  names = {dtype: name for name, dtype in DTYPES.items()}
  specs = tensors.specs if isinstance(tensors, Tensors) else tensors
  for name, spec in specs.items():
    if spec.dtype not in names:
      raise UserError(
        f"safetensors has no dtype {spec.dtype} (tensor {name!r}); cast it."
      )
  if bad := [k for k, v in metadata.items() if not isinstance(v, str)]:
    raise UserError(f"metadata must be strings, {bad[0]!r} is not; use json.")
  # Widest dtypes first keeps every tensor aligned, as the package does.
  rank = list(DTYPES)
  order = sorted(
    specs, key=lambda n: (-rank.index(names[np.dtype(specs[n].dtype)]), n)
  )
  header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
  end = 0
  for name in order:
    shape, dtype = specs[name].shape, np.dtype(specs[name].dtype)
    begin, end = end, end + int(np.prod(shape)) * dtype.itemsize
    header[name] = {
      "dtype": names[dtype],
      "shape": list(shape),
      "data_offsets": [begin, end],
    }
  text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
  text += b" " * (-len(text) % 8)
  return len(text).to_bytes(8, "little") + text, order


def _header(path: Path) -> tuple[dict[str, Any], int]:
  """Returns the checked header and where the tensors' bytes begin."""
  try:
    size = path.stat().st_size
    with open(path, "rb") as file:
      count = int.from_bytes(file.read(8), "little")
      if size < 8 or count > min(MAX_HEADER, size - 8):
        raise UserError(
          f"{path}: the header claims {count} bytes, the file has"
          f" {max(size - 8, 0)} after its length; the file is truncated or"
          " not safetensors."
        )
      header = json.loads(file.read(count), object_pairs_hook=_unique)
  except OSError as error:
    raise UserError(f"cannot read {path}: {error}.") from error
  except (ValueError, RecursionError) as error:
    if isinstance(error, UserError):
      raise
    raise UserError(
      f"{path}: the safetensors header is malformed: {error}."
    ) from error
  if not isinstance(header, dict):
    raise UserError(f"{path}: the safetensors header is not a JSON object.")
  metadata = header.get("__metadata__", {})
  if not isinstance(metadata, dict) or not all(
    isinstance(value, str) for value in metadata.values()
  ):
    raise UserError(f"{path}: __metadata__ must map strings to strings.")
  return header, 8 + count


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  if len(found := dict(pairs)) != len(pairs):
    raise ValueError("a name occurs twice")
  return found


def _dtype(row: Mapping[str, Any]) -> np.dtype:
  return DTYPES[row["dtype"]]


def _span(path: Path, name: str, row: Any) -> tuple[int, int]:
  """Returns a tensor's checked (begin, end) in the data part."""
  try:
    dtype, shape, (begin, end) = row["dtype"], row["shape"], row["data_offsets"]
  except (TypeError, KeyError, ValueError) as error:
    raise UserError(
      f"{path}: tensor {name!r} lacks dtype, shape or data_offsets."
    ) from error
  if not isinstance(dtype, str) or dtype not in DTYPES:
    raise UserError(
      f"{path}: tensor {name!r} has dtype {dtype!r}, known are"
      f" {', '.join(DTYPES)}."
    )
  if (
    not isinstance(shape, list)
    or len(shape) > 32
    or not all(type(n) is int and 0 <= n < 2**40 for n in [*shape, begin, end])
    # NumPy makes no such array, even if another axis is 0.
    or math.prod(max(n, 1) for n in shape) >= 2**60
  ):
    raise UserError(f"{path}: tensor {name!r} has a malformed shape or offset.")
  expected = DTYPES[dtype].itemsize * math.prod(shape)
  if end - begin != expected:
    raise UserError(
      f"{path}: tensor {name!r} {dtype} {shape} takes {expected} bytes, its"
      f" offsets {[begin, end]} give {end - begin}."
    )
  return begin, end


def _check_cover(path: Path, spans: list[tuple[int, int]], start: int) -> None:
  """Raises unless the tensors fill the file without holes or overlaps."""
  at = 0
  for begin, end in sorted(spans):
    if begin != at:
      raise UserError(
        f"{path}: tensors leave a hole or overlap at byte {min(begin, at)} of"
        " the data."
      )
    at = end
  size = path.stat().st_size
  if size != start + at:
    state = "truncated" if size < start + at else "longer than its header says"
    raise UserError(
      f"{path} is {state}: expected {start + at} bytes, got {size}; copy or"
      " download it again."
    )
