"""Files that appear complete or not at all."""

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import BinaryIO


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
  """Opens a file that takes `path`'s place once it is written whole.

  Nothing is left behind where writing fails; the old file, if any, stays.

  Args:
    path: where to; its folder must exist.
  """
  path = pathlib.Path(path)
  partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
  try:
    with partial.open("wb") as file:
      yield file
      file.flush()
      os.fsync(file.fileno())
    os.replace(partial, path)
  finally:
    partial.unlink(missing_ok=True)
  folder = os.open(path.parent, os.O_RDONLY)
  try:
    os.fsync(folder)  # The rename itself must survive a crash too.
  finally:
    os.close(folder)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
  """Writes a whole file at once; see `replacing`."""
  with replacing(path) as file:
    file.write(data)
