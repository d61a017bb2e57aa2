"""A mapping of named tensors that reads each one only when it is asked for."""

import contextlib
import math
import mmap
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jft.errors import UserError

ALIGNMENT = 64  # bytes
HUGE = 2 * 2**20  # bytes of a huge page
AHEAD = 4 * 2**20  # bytes; Linux stops at the device's own limit
LENT = 32 * 2**20  # bytes; the most a thread keeps for the blocks it reads
_OWN = threading.local()


@dataclass(frozen=True, eq=False, repr=False)
class Tensors(Mapping[str, np.ndarray]):
  """Names with their shapes and dtypes; values come from the file on access.

  Each access reads the file again and returns a fresh array, so the file may be
  replaced or deleted while the arrays already read live on.

  Args:
    specs: {name: shape and dtype}, known without reading a value.
    load: reads the tensor of one name.
    blocks: reads it as successive blocks of so many rows (of its first axis),
      each to be used before the next is asked for: it may lie in the same
      memory. None if the format cannot.
  """

  specs: Mapping[str, jax.ShapeDtypeStruct]
  load: Callable[[str], np.ndarray]
  blocks: Callable[[str, int], Iterator[np.ndarray]] | None = None

  def __getitem__(self, name: str) -> np.ndarray:
    if name not in self.specs:
      raise KeyError(name)
    return self.load(name)

  def __contains__(self, name: object) -> bool:
    return name in self.specs

  def __iter__(self) -> Iterator[str]:
    return iter(self.specs)

  def __len__(self) -> int:
    return len(self.specs)

  def __repr__(self) -> str:
    return f"Tensors({len(self)} names)"


def shape_of(source: Mapping[str, np.ndarray], name: str) -> tuple[int, ...]:
  """Returns a tensor's shape, without reading its values if they are lazy."""
  if isinstance(source, Tensors):
    return tuple(source.specs[name].shape)
  return tuple(np.shape(source[name]))


def row_spans(
  shape: tuple[int, ...], itemsize: int, rows: int
) -> Iterator[tuple[int, int, tuple[int, ...]]]:
  """Yields (first byte, number of bytes, shape) of blocks of rows.

  Args:
    shape: of a tensor in C order, of one axis at least.
    itemsize: bytes a value.
    rows: of a block.

  >>> list(row_spans((5, 3), 4, 2))
  [(0, 24, (2, 3)), (24, 24, (2, 3)), (48, 12, (1, 3))]
  """
  row = math.prod(shape[1:]) * itemsize
  for at in range(0, shape[0], rows):
    count = min(rows, shape[0] - at)
    yield at * row, count * row, (count, *shape[1:])


def fresh(nbytes: int) -> np.ndarray:
  """Returns new memory for so many bytes."""
  return aligned((nbytes,), np.uint8)


def lent(nbytes: int) -> np.ndarray:
  """Returns memory of this thread's, which its next call takes back.

  Were it new for each block, the system would clear all of it for each: a tenth
  of a load's processor time.
  """
  if nbytes > LENT:
    return fresh(nbytes)
  room = getattr(_OWN, "room", None)
  if room is None or room.size < nbytes:
    room = _OWN.room = fresh(nbytes)
  return room[:nbytes]


def read_span(
  path: Path,
  offset: int,
  nbytes: int,
  room: Callable[[int], np.ndarray] = fresh,
) -> np.ndarray:
  """Returns `nbytes` bytes of a file from `offset`, as UInt8[nbytes].

  Plain reads and no mmap: a file that shrinks under a memory map kills the
  process, and jax may keep using mapped pages as a buffer without copying.

  Args:
    path: the file.
    offset: of the first byte.
    nbytes: how many.
    room: gives the memory they are put into: `fresh`, or `lent`.

  Raises:
    UserError: if the file has become shorter than that, or unreadable.
  """
  try:
    with open(path, "rb", buffering=0) as file:
      # Never more than there is: the array is made before it is filled.
      left = max(os.fstat(file.fileno()).st_size - offset, 0)
      data = room(min(nbytes, left))
      _read_ahead(file.fileno(), offset + data.size)
      file.seek(offset)
      got, view = 0, data.data
      while got < data.size and (count := file.readinto(view[got:])):
        got += count
  except OSError as error:
    raise UserError(f"cannot read {path}: {error}.") from error
  if got != nbytes:
    raise UserError(
      f"{path} is truncated: expected {nbytes} bytes at {offset}, got"
      f" {got}; copy or download it again."
    )
  return data


def _read_ahead(file: int, offset: int) -> None:
  """Asks the kernel for what follows, so that it comes while this is used."""
  if hasattr(os, "posix_fadvise"):
    with contextlib.suppress(OSError):  # a file system that takes no advice
      os.posix_fadvise(file, offset, AHEAD, os.POSIX_FADV_WILLNEED)


def aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
  """Returns an empty array that begins where JAX wants it: on 64 bytes.

  JAX's CPU takes such an array over as it is, and copies any other. A large one
  lies in huge pages where the system has them: a quarter of a load's time went
  into giving a process its memory in pages of 4 kB.
  """
  nbytes = math.prod(shape) * np.dtype(dtype).itemsize
  if nbytes >= 2 * HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
    room, start = _huge_pages(nbytes), 0
  else:
    room = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
  return room[start : start + nbytes].view(dtype).reshape(shape)


def _huge_pages(nbytes: int) -> np.ndarray:
  # A map of whole huge pages begins at one; what is never written takes none.
  private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
  try:
    room = mmap.mmap(-1, -(-nbytes // HUGE) * HUGE, flags=private)
  except OSError as error:
    raise MemoryError(f"{nbytes} bytes: {error}") from error
  with contextlib.suppress(OSError):  # a kernel without them
    room.madvise(mmap.MADV_HUGEPAGE, 0, nbytes // HUGE * HUGE)
  return np.frombuffer(room, np.uint8)


def as_dtype(data: np.ndarray, dtype: np.dtype) -> np.ndarray:
  """Returns raw bytes as a flat array of `dtype`.

  A foreign bool may be stored as any non-zero byte, which NumPy must not see.
  """
  return data != 0 if dtype == np.bool_ else data.view(dtype)
