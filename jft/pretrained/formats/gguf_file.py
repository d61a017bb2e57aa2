"""GGUF, llama.cpp's format: each tensor is dequantised when it is asked for.

Float tensors are read as they are. Quantised ones go through the package gguf
(the extra `gguf`), by ggml's own people, and come as float32.

A tensor's name is the file's with the architecture before it, such as
"llama/blk.0.attn_q.weight": what stands under one name is laid out in another
way for another architecture.
"""

import importlib
import itertools
import math
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import ml_dtypes
import numpy as np

from jft import gguf_header
from jft.errors import UserError
from jft.gguf_header import Header, Tensor
from jft.pretrained.formats.lazy import Tensors, aligned, read_span

ARCHITECTURE = "general.architecture"

_PLAIN: Mapping[int, np.dtype] = types.MappingProxyType(
  {
    0: np.dtype(np.float32),
    1: np.dtype(np.float16),
    24: np.dtype(np.int8),
    25: np.dtype(np.int16),
    26: np.dtype(np.int32),
    27: np.dtype(np.int64),
    28: np.dtype(np.float64),
    30: np.dtype(ml_dtypes.bfloat16),
  }
)
PIECE = 2**20  # values that are dequantised at a time


class Place(NamedTuple):
  """A tensor, the bytes it takes, and the package's type if quantised.

  Attributes:
    row: values and bytes of the last axis.
  """

  tensor: Tensor
  row: tuple[int, int]
  nbytes: int
  quantised: Any = None


def read(path: str | Path) -> Tensors:
  """Reads the header now and each tensor when it is asked for.

  Args:
    path: a `.gguf` file that is not split into parts.

  Raises:
    UserError: if the file is damaged, a tensor is of a type that is not known,
      or the package is missing that quantised ones need.
  """
  path = Path(path)
  header = gguf_header.read(path)
  prefix = header.metadata.get(ARCHITECTURE)
  if not isinstance(prefix, str):
    raise UserError(f"{path}: GGUF without {ARCHITECTURE}: it names no model.")
  places = {
    f"{prefix}/{name}": _place(path, name, tensor)
    for name, tensor in header.tensors.items()
  }
  _check_cover(path, places)
  specs = {
    name: jax.ShapeDtypeStruct(
      place.tensor.shape,
      np.dtype(np.float32) if place.quantised else _PLAIN[place.tensor.kind],
    )
    for name, place in places.items()
  }
  return Tensors(specs, lambda name: _load(path, places[name]))


def load(path: str | Path, header: Header, name: str) -> np.ndarray:
  """Reads one tensor by the file's own name, as `read` would."""
  path = Path(path)
  places = {name: _place(path, name, header.tensors[name])}
  _check_cover(path, places)
  return _load(path, places[name])


def _place(path: Path, name: str, tensor: Tensor) -> Place:
  last = tensor.shape[-1] if tensor.shape else 1
  # NumPy makes no such array, even if another axis is 0.
  if math.prod(max(n, 1) for n in tensor.shape) >= 2**60:
    raise UserError(
      f"{path}: tensor {name!r} has the impossible shape {tensor.shape}."
    )
  rows = math.prod(tensor.shape) // max(last, 1)
  if tensor.kind in _PLAIN:
    row = last * _PLAIN[tensor.kind].itemsize
    return Place(tensor, (last, row), rows * row)
  kind, block, nbytes = _quantised(path, name, tensor.kind)
  if last % block:
    raise UserError(
      f"{path}: tensor {name!r} {tensor.shape}: {kind.name} packs {block}"
      " values of a row, which do not divide it; the file is damaged."
    )
  row = last // block * nbytes
  return Place(tensor, (last, row), rows * row, kind)


def _quantised(path: Path, name: str, kind: int) -> tuple[Any, int, int]:
  """Returns the package's type, its values in a block, and their bytes."""
  try:
    constants = importlib.import_module("gguf.constants")
    quants = importlib.import_module("gguf.quants")
  except ImportError as error:
    raise UserError(
      f"{path}: tensor {name!r} is quantised (type {kind}), which the package"
      " gguf reads: pip install 'jft[gguf]'."
    ) from error
  try:
    found = constants.GGMLQuantizationType(kind)
    sizes = constants.GGML_QUANT_SIZES[found]
    # One block of zeros tells whether the package can read the type at all.
    quants.dequantize(np.zeros((1, sizes[1]), np.uint8), found)
  except (ValueError, KeyError, NotImplementedError) as error:
    known = [k for k in constants.GGMLQuantizationType if k.value == kind]
    shown = known[0].name if known else f"number {kind}"
    raise UserError(
      f"{path}: tensor {name!r} is of the type {shown}, which the package gguf"
      " does not dequantise; take a file of another quantisation, such as Q8_0,"
      " or a newer gguf."
    ) from error
  return found, *sizes


def _check_cover(path: Path, places: Mapping[str, Place]) -> None:
  """Raises if tensors overlap or reach beyond the file's end."""
  spans = sorted(
    (place.tensor.offset, place.tensor.offset + place.nbytes, name)
    for name, place in places.items()
  )
  for (_, end, name), (begin, _, after) in itertools.pairwise(spans):
    if begin < end:
      raise UserError(f"{path}: tensors {name!r} and {after!r} overlap.")
  size = path.stat().st_size
  if spans and spans[-1][1] > size:
    raise UserError(
      f"{path} is truncated: tensor {spans[-1][2]!r} ends at byte"
      f" {spans[-1][1]}, the file has {size}; copy or download it again."
    )


def _load(path: Path, place: Place) -> np.ndarray:
  shape = place.tensor.shape
  data = read_span(path, place.tensor.offset, place.nbytes)
  if place.quantised is None:
    return data.view(_PLAIN[place.tensor.kind]).reshape(shape)
  quants = importlib.import_module("gguf.quants")
  made = aligned(shape, np.float32)
  values, nbytes = place.row
  rows, out = data.reshape(-1, nbytes), made.reshape(-1, values)
  step = max(PIECE // max(values, 1), 1)
  with np.errstate(all="ignore"):  # damaged scales: the load refuses them
    for at in range(0, len(rows), step):
      span = slice(at, at + step)
      out[span] = quants.dequantize(rows[span], place.quantised)
  return made
