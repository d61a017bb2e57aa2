"""The header of a GGUF file: settings, tokenizer, and where the tensors lie.

Read here and not by the package gguf, which maps the file into memory, follows
any count that a damaged file claims, and takes 6 s where this takes 0.2. On
the lowest floor because the model and the tokenizer both come out of it.

Source: ggml/docs/gguf.md.
"""

import os
import struct
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from jft.errors import UserError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = 32  # bytes, where the file does not say
MAX_AXES = 8
MAX_DEPTH = 4  # of arrays of arrays
MAX_ALIGNMENT = 2**20

_STRING, _ARRAY, _BOOL = 8, 9, 7
_SCALARS: Mapping[int, np.dtype] = types.MappingProxyType(
  {
    kind: np.dtype(name)
    for kind, name in (
      *((0, "u1"), (1, "i1"), (2, "<u2"), (3, "<i2"), (4, "<u4"), (5, "<i4")),
      *((6, "<f4"), (_BOOL, "u1"), (10, "<u8"), (11, "<i8"), (12, "<f8")),
    )
  }
)


class Tensor(NamedTuple):
  """A tensor's place.

  Attributes:
    shape: as NumPy has it, the slowest axis first (GGUF writes the reverse).
    kind: the number of its type, as in ggml_type.
    offset: in the file.
  """

  shape: tuple[int, ...]
  kind: int
  offset: int


class Header(NamedTuple):
  """All of a GGUF file but the tensors' values.

  Attributes:
    metadata: {key: value}; an array of numbers is a NumPy array, one of texts
      a list.
    tensors: {name: its place}, in the order of the file.
  """

  metadata: Mapping[str, Any]
  tensors: Mapping[str, Tensor]


def read(path: str | Path) -> Header:
  """Reads the header of a GGUF file.

  Args:
    path: of version 2 or 3, little-endian, as nearly all are.

  Raises:
    UserError: if it is damaged, of another version, or one of several parts.
  """
  path = Path(path)
  try:
    with open(path, "rb") as file:
      return _Cursor(path, file, os.fstat(file.fileno()).st_size).header()
  except OSError as error:
    raise UserError(f"cannot read {path}: {error}.") from error


class _Cursor(NamedTuple):
  """Reads on from where it is, never beyond the end of the file."""

  path: Path
  file: BinaryIO
  size: int

  def header(self) -> Header:
    magic = self.file.read(4)
    if magic != MAGIC:
      raise UserError(f"{self.path} is no GGUF file: it begins with {magic!r}.")
    version = self.number("<u4")
    if version not in VERSIONS:
      big = version in [v << 24 for v in (1, *VERSIONS)]
      raise UserError(
        f"{self.path} is GGUF of version {version}; jft reads"
        f" {' and '.join(map(str, VERSIONS))}"
        f"{', little-endian; this file is big-endian' * big}."
      )
    tensors, pairs = self.count(24), self.count(13)
    metadata: dict[str, Any] = {}
    for _ in range(pairs):
      key = self.text()
      if key in metadata:
        raise self.damaged(f"the key {key[:80]!r} comes twice")
      metadata[key] = self.value(self.number("<u4"))
    places = self.places(tensors)
    start = self.start(metadata)
    return Header(
      types.MappingProxyType(metadata),
      types.MappingProxyType(
        {n: t._replace(offset=t.offset + start) for n, t in places.items()}
      ),
    )

  def places(self, count: int) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for _ in range(count):
      name, axes = self.text(), self.number("<u4")
      if name in found:
        raise self.damaged(f"the tensor {name[:80]!r} comes twice")
      if axes > MAX_AXES:
        raise self.damaged(f"the tensor {name[:80]!r} has {axes} axes")
      shape = tuple(self.number("<u8") for _ in range(axes))[::-1]
      if any(n >= 2**40 for n in shape):
        raise self.damaged(f"the tensor {name[:80]!r} has the shape {shape}")
      found[name] = Tensor(shape, self.number("<u4"), self.number("<u8"))
    return found

  def start(self, metadata: Mapping[str, Any]) -> int:
    """Where the tensors begin: the next multiple of the alignment."""
    if int(metadata.get("split.count", 0) or 0) > 1:
      raise UserError(
        f"{self.path} is one part of {metadata['split.count']}; join them:"
        " llama-gguf-split --merge FIRST OUT."
      )
    step = metadata.get("general.alignment", ALIGNMENT)
    if type(step) is not int or not 0 < step <= MAX_ALIGNMENT:
      raise self.damaged(f"general.alignment is {str(step)[:80]}")
    return -(-self.file.tell() // step) * step

  def value(self, kind: int, depth: int = 0) -> Any:
    if kind == _STRING:
      return self.text()
    if kind == _ARRAY and depth < MAX_DEPTH:
      inner = self.number("<u4")
      scalar = _SCALARS.get(inner)
      count = self.count(8 if scalar is None else scalar.itemsize)
      if scalar is None:
        return [self.value(inner, depth + 1) for _ in range(count)]
      data = np.frombuffer(self.take(count * scalar.itemsize), scalar)
      return data != 0 if inner == _BOOL else data
    if kind not in _SCALARS:
      raise self.damaged(f"a value is of the unknown type {kind}")
    found = self.number(_SCALARS[kind])
    return bool(found) if kind == _BOOL else found

  def number(self, dtype: Any) -> Any:
    dtype = np.dtype(dtype)
    return np.frombuffer(self.take(dtype.itemsize), dtype)[0].item()

  def count(self, least: int) -> int:
    """A number of things that take at least so many bytes each."""
    found = struct.unpack("<Q", self.take(8))[0]
    left = self.size - self.file.tell()
    if found * least > left:
      raise self.damaged(
        f"it claims {found} entries of {least} bytes or more at byte"
        f" {self.file.tell()}, with {left} bytes left"
      )
    return found

  def text(self) -> str:
    data = self.take(self.count(1))
    try:
      return data.decode("utf-8")
    except UnicodeDecodeError as error:
      raise self.damaged(f"a text is not UTF-8: {error}") from error

  def take(self, nbytes: int) -> bytes:
    data = self.file.read(nbytes)
    if len(data) != nbytes:
      raise self.damaged(f"it ends at byte {self.file.tell()}, in its header")
    return data

  def damaged(self, what: str) -> UserError:
    return UserError(
      f"{self.path} is truncated or damaged: {what}; copy or download it again."
    )
