"""Zip archives of weights: where each entry's bytes lie, checked.

Every size that an archive claims is checked against the file before anything of
that size is made.
"""

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jft.errors import UserError
from jft.pretrained.formats.lazy import aligned, fresh, read_span
from jft.pretrained.formats.pickle_machine import Refused

# Of a deflated entry: so many bytes, or so many times what they take. Trained
# weights shrink by a tenth, or by a half where they were widened from bfloat16.
MAX_INFLATED = 64 * 2**20
MAX_RATIO = 20
PIECE = 2**20  # bytes inflated at a time

# What zipfile and struct raise on damaged bytes.
DAMAGE = (
  zipfile.BadZipFile,
  zipfile.LargeZipFile,
  NotImplementedError,
  RuntimeError,
  OverflowError,
  ValueError,
  LookupError,
  EOFError,
  struct.error,
  zlib.error,
)


@dataclass(frozen=True)
class Place:
  """Where an entry's bytes lie.

  Attributes:
    offset: in the file, if they are stored as they are.
    nbytes: how many, inflated.
    crc: their CRC-32, 0 if it was left out.
    inflate: returns the first so many bytes, if they are deflated.
    packed: bytes that inflate.
  """

  offset: int
  nbytes: int
  crc: int = 0
  inflate: Callable[[int], np.ndarray] | None = None
  packed: int = 0


def places(path: Path, file: BinaryIO) -> dict[str, Place]:
  """Returns {entry's name: where it lies}; nothing is unpacked.

  Args:
    path: the archive.
    file: the same, open.

  Raises:
    UserError: for an entry that is there twice, beyond the file, encrypted, or
      too large to be inflated.
    DAMAGE: what zipfile raises on damaged bytes.
  """
  size = path.stat().st_size
  found: dict[str, Place] = {}
  with zipfile.ZipFile(file) as archive:
    for info in archive.infolist():
      if info.filename in found:
        raise UserError(f"the zip holds {info.filename!r} twice.")
      found[info.filename] = _place(path, file, info, size)
  return found


def _place(
  path: Path, file: BinaryIO, info: zipfile.ZipInfo, size: int
) -> Place:
  """Returns where an entry's bytes begin, checked against the file's size."""
  if info.compress_type == zipfile.ZIP_DEFLATED:
    most = max(MAX_INFLATED, MAX_RATIO * min(info.compress_size, size))
    if info.file_size > most:
      raise Refused(
        f"entry {info.filename!r} inflates to {info.file_size} bytes, allowed"
        f" are {most}; zip it without compression."
      )
    return Place(
      0,
      info.file_size,
      inflate=lambda count: _inflate(path, info, count),
      packed=info.compress_size,
    )
  if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
    raise Refused(f"entry {info.filename!r} is encrypted or oddly compressed.")
  file.seek(info.header_offset)
  local = file.read(30)
  if local[:4] != b"PK\x03\x04" or len(local) != 30:
    raise UserError(f"entry {info.filename!r} does not begin where it should.")
  offset = info.header_offset + 30 + sum(struct.unpack("<HH", local[26:30]))
  if info.file_size != info.compress_size or offset + info.file_size > size:
    raise UserError(
      f"entry {info.filename!r} claims {info.file_size} bytes at {offset}, the"
      f" file has {size}."
    )
  return Place(offset, info.file_size, info.CRC)


def _inflate(path: Path, info: zipfile.ZipInfo, count: int) -> np.ndarray:
  data = aligned((min(count, info.file_size),), np.uint8)
  with zipfile.ZipFile(path) as archive, archive.open(info) as entry:
    got = 0
    while piece := entry.read(min(PIECE, data.size - got)):
      data[got : got + len(piece)] = np.frombuffer(piece, np.uint8)
      got += len(piece)
    # Reads on to the end, where zipfile compares the checksum.
    whole = count >= info.file_size and not entry.read(1)
  if got != data.size or (count >= info.file_size and not whole):
    raise UserError(
      f"{path}: entry {info.filename!r} has not the size it says."
    )
  return data


def read_place(path: Path, place: Place, first: int, nbytes: int) -> np.ndarray:
  """Returns bytes of an entry; the checksum is looked at if it is all of them.

  Raises:
    UserError: if the file has become shorter, or the checksum differs.
    DAMAGE: what zipfile raises on damaged bytes.
  """
  if place.inflate:
    return place.inflate(first + nbytes)[first:]
  (data,) = read_parts(path, place, first, [nbytes])
  return data


def read_parts(
  path: Path,
  place: Place,
  first: int,
  sizes: Sequence[int],
  room: Callable[[int], np.ndarray] = fresh,
) -> Iterator[np.ndarray]:
  """Yields an entry's bytes from `first` on in parts of so many bytes.

  The checksum is looked at after the last part if they are all of the entry,
  so what is made of the parts is not to be used before the iterator has ended.

  Args:
    path: the archive.
    place: an entry that is stored as it is.
    first: where in it the parts begin.
    sizes: of the parts, which lie one after another.
    room: see `lazy.read_span`.

  Raises:
    UserError: if the file has become shorter, or the checksum differs.
  """
  at, crc = place.offset + first, 0
  # torch may be told to leave the checksum out, and then writes 0.
  checked = place.crc and first == 0 and sum(sizes) == place.nbytes
  for nbytes in sizes:
    data = read_span(path, at, nbytes, room)
    if checked:
      crc = zlib.crc32(data.data, crc)
    at += nbytes
    yield data
  if checked and crc != place.crc:
    raise UserError(
      f"{path}: the bytes at {place.offset} do not match their checksum; copy"
      " or download it again."
    )
