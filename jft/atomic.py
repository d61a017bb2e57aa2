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
  _sync(path.parent)  # The rename itself must survive a crash too.


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
  """Writes a whole file at once; see `replacing`."""
  with replacing(path) as file:
    file.write(data)


def sync_all(folder: str | os.PathLike[str]) -> None:
  """Waits until a folder, and all that is in it, is on the disk itself.

  Args:
    folder: on a local disk; an object store's, with "://", is there already.
  """
  if "://" in os.fspath(folder):
    return
  for parent, _, names in os.walk(folder):
    for name in names:
      _sync(os.path.join(parent, name))
    _sync(parent)


def _sync(path: str | os.PathLike[str]) -> None:
  opened = os.open(path, os.O_RDONLY)
  try:
    os.fsync(opened)
  finally:
    os.close(opened)
