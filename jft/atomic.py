"""Files and folders that appear complete or not at all."""

import contextlib
import os
import pathlib
import shutil
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


@contextlib.contextmanager
def new_folder(
  path: str | os.PathLike[str], *, replace: bool = False
) -> Iterator[pathlib.Path]:
  """Yields an empty folder that gets `path`'s name once all is in it.

  Nothing is left behind where the work fails or is interrupted; an old folder,
  if any, then stays as it was.

  Args:
    path: where to; folders above it are made.
    replace: take the place of a folder that is there.

  Raises:
    FileExistsError: if something is there that may not be replaced.
  """
  path = pathlib.Path(path).absolute()
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
  before = path.with_name(f".{path.name}.{os.getpid()}.before")
  partial.mkdir()
  try:
    yield partial
    sync_all(partial)
    if path.exists() and replace:
      os.rename(path, before)
    try:
      os.rename(partial, path)  # onto nothing, or an empty folder
    except OSError as error:
      if before.exists():
        os.rename(before, path)
      raise FileExistsError(f"{path} is there already.") from error
  finally:
    shutil.rmtree(partial, ignore_errors=True)
  _sync(path.parent)
  shutil.rmtree(before, ignore_errors=True)
