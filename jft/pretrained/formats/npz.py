"""NumPy's `.npz`: a zip of `.npy` files, each a short header and raw values.

The header is a Python dict in text; what NumPy itself writes is matched, and
nothing is evaluated or unpickled.

Source: numpy/lib/_format_impl.py. big_vision and vision_transformer publish
their weights so.
"""

import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import jax
import ml_dtypes
import numpy as np

from jft.errors import UserError
from jft.pretrained.formats import zip_files
from jft.pretrained.formats.lazy import Tensors, as_dtype
from jft.pretrained.formats.zip_files import DAMAGE, Place

MAX_HEADER = 10_000  # bytes, as in NumPy; the usual one takes 128

_HEADER = re.compile(
  rb"\{'descr': (?P<descr>'[^']{1,8}'|\[.*?\]),"
  rb" 'fortran_order': (?P<fortran>True|False),"
  rb" 'shape': \((?P<shape>(?:\d{1,13}L?, ?){0,32}(?:\d{1,13}L?)?)\)"
  rb",? *\} *\n?",
  re.DOTALL,
)
_LENGTHS = {1: "<H", 2: "<I", 3: "<I"}  # of the header, by the major version
# NumPy has no name for bfloat16 and writes it as two raw bytes.
_BFLOAT16 = ("<V2", "|V2")


@dataclass(frozen=True)
class Member:
  """One `.npy` in the archive; `start` is where its values begin in it."""

  place: Place
  start: int
  dtype: np.dtype
  shape: tuple[int, ...]
  fortran: bool


def read(path: str | Path) -> Tensors:
  """Reads the headers now and each array when it is asked for.

  Args:
    path: what `numpy.savez` or `savez_compressed` wrote. Two raw bytes a value
      are taken for bfloat16.

  Raises:
    UserError: if the file is damaged, or an array is pickled, structured or
      not as large as its header says.
  """
  path = Path(path)
  try:
    with open(path, "rb") as file:
      members = {
        name.removesuffix(".npy"): _member(path, name, place)
        for name, place in zip_files.places(path, file).items()
      }
  except UserError as error:
    raise UserError(f"{path}: {str(error).rstrip('.')}.") from error
  except OSError as error:
    raise UserError(f"cannot read {path}: {error}.") from error
  except (*DAMAGE, MemoryError) as error:
    raise _damaged(path, error) from error
  specs = {
    name: jax.ShapeDtypeStruct(member.shape, member.dtype.newbyteorder("="))
    for name, member in members.items()
  }
  return Tensors(specs, lambda name: _load(path, members[name]))


def _member(path: Path, name: str, place: Place) -> Member:
  count = min(place.nbytes, MAX_HEADER + 12)
  head = zip_files.read_place(path, place, 0, count).tobytes()
  major = head[6] if head[:6] == b"\x93NUMPY" and len(head) > 6 else 0
  if not name.endswith(".npy") or major not in _LENGTHS:
    raise UserError(f"entry {name!r} is no .npy array of version 1 to 3.")
  form = _LENGTHS[major]
  start = 8 + struct.calcsize(form)
  (length,) = struct.unpack(form, head[8:start])
  text = head[start : start + length]
  if length > MAX_HEADER or len(text) != length:
    raise UserError(f"entry {name!r} has a header of {length} bytes.")
  found = _HEADER.fullmatch(text)
  if found is None:
    raise UserError(f"entry {name!r} has a header that NumPy does not write.")
  dtype = _dtype(name, found["descr"].decode("latin-1").strip("'"))
  shape = tuple(int(n) for n in re.findall(rb"\d+", found["shape"]))
  nbytes = math.prod(max(n, 1) for n in shape) * dtype.itemsize
  nbytes *= 0 not in shape
  if math.prod(max(n, 1) for n in shape) >= 2**60:
    raise UserError(f"entry {name!r} has the impossible shape {shape}.")
  if start + length + nbytes != place.nbytes:
    raise UserError(
      f"entry {name!r} {dtype} {shape} takes {nbytes} bytes, the archive holds"
      f" {place.nbytes - start - length}."
    )
  return Member(
    place, start + length, dtype, shape, found["fortran"] == b"True"
  )


def _dtype(name: str, descr: str) -> np.dtype:
  if descr in _BFLOAT16:
    return np.dtype(ml_dtypes.bfloat16)
  try:
    dtype = np.dtype(descr)
  except (TypeError, ValueError, SyntaxError):
    dtype = np.dtype(object)
  if dtype.kind not in "biufc" or dtype.char in "gG":
    raise UserError(
      f"entry {name!r} has dtype {descr[:40]!r}, which is no array of numbers;"
      " Python objects are never unpickled. Save plain arrays."
    )
  return dtype


def _load(path: Path, member: Member) -> np.ndarray:
  try:
    # All of the entry, so that its checksum is looked at.
    data = zip_files.read_place(path, member.place, 0, member.place.nbytes)
  except UserError:
    raise
  except (OSError, *DAMAGE) as error:
    raise _damaged(path, error) from error
  native = member.dtype.newbyteorder("=")
  if 0 in member.shape:
    return np.zeros(member.shape, native)
  flat = as_dtype(data[member.start :], member.dtype)
  order = "F" if member.fortran else "C"
  return flat.astype(native, copy=False).reshape(member.shape, order=order)


def _damaged(path: Path, error: Exception) -> UserError:
  return UserError(
    f"{path} is truncated or damaged ({type(error).__name__}: {error}); copy or"
    " download it again."
  )
