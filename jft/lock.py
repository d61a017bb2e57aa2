"""One run a folder: a lock that the kernel drops when its process dies."""

import contextlib
import json
import os
import pathlib
import platform
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

from jft.errors import UserError

try:
  import fcntl
except ImportError:  # Windows: two runs in one folder are not told apart.
  fcntl = None

FILE = ".lock"


@contextlib.contextmanager
def held(folder: pathlib.Path) -> Iterator[None]:
  """Holds a folder's lock; the file in it names the owner.

  A killed process holds nothing, so no lock is ever left over. Where the file
  system has no locks, this holds nothing and says nothing.

  Args:
    folder: exists.

  Raises:
    UserError: naming the owner and its age, if another process holds it.
  """
  with (folder / FILE).open("a+b") as file:
    if not _lock(file):
      raise UserError(_taken(folder, file))
    owner = {
      "process": os.getpid(),
      "host": platform.node(),
      "since": time.time(),
    }
    file.truncate(0)
    file.write(json.dumps(owner).encode())
    file.flush()
    try:
      yield
    finally:
      file.truncate(0)


def refuse_if_taken(folder: pathlib.Path) -> None:
  """Raises as `held` does, without taking or making anything."""
  with contextlib.suppress(FileNotFoundError), (folder / FILE).open("rb") as f:
    if not _lock(f, shared=True):
      raise UserError(_taken(folder, f))


def _lock(file: BinaryIO, *, shared: bool = False) -> bool:
  """Returns False if another process holds the lock; closing lets go of it."""
  if fcntl is None:
    return True
  kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
  try:
    fcntl.flock(file, kind | fcntl.LOCK_NB)
  except BlockingIOError:
    return False
  except OSError:  # ENOLCK, EOPNOTSUPP: a file system without locks.
    return True
  return True


def _taken(folder: pathlib.Path, file: BinaryIO) -> str:
  return (
    f"workdir {folder} is in use by {_owner(file)}: two runs in one folder"
    " would spoil each other. Wait for it, stop it, or give another folder."
  )


def _owner(file: BinaryIO) -> str:
  try:
    file.seek(0)
    owner: Any = json.loads(file.read())
    # A clock that was set back must not make an age of less than nothing.
    minutes = max(0.0, time.time() - owner["since"]) / 60
    return (
      f"process {owner['process']} on {owner['host']}, for {minutes:.0f}"
      " minutes"
    )
  except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
    return "another process"
