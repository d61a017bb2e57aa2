"""Turns what a disk does to Orbax into one sentence for the user."""

import contextlib
import errno
import logging
import os
import shutil
from collections.abc import Iterator

from jft.errors import UserError

_SPARE = 2**20  # for the records and manifests beside the arrays
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def user_errors(action: str, path: str | os.PathLike[str]) -> Iterator[None]:
  """Reports a failing disk as a UserError; other errors pass.

  Args:
    action: what was being done, to follow "could not".
    path: the folder.
  """
  try:
    yield
  except UserError:
    raise
  except Exception as error:
    if (reason := _reason(error, os.fspath(path))) is None:
      raise
    raise UserError(f"could not {action}: {reason}") from error


def require_space(path: str | os.PathLike[str], nbytes: int) -> None:
  """Raises OSError (ENOSPC) if the disk has less room than this.

  Orbax, started on a disk that fills up, fails in many threads at once.

  Args:
    path: the folder, on a local disk; an object store is never full.
    nbytes: what is about to be written.
  """
  folder = _existing(os.fspath(path))
  if folder and shutil.disk_usage(folder).free < nbytes + _SPARE:
    raise OSError(errno.ENOSPC, f"{nbytes} bytes do not fit", folder)


def drop_orbax(record: logging.LogRecord) -> bool:
  """A filter for absl's logger: Orbax's lines go to `jft.orbax` as debug.

  It logs each step of a save, and tells what it also raises.
  """
  if "/orbax/" not in record.pathname.replace(os.sep, "/"):
    return True
  logging.getLogger("jft.orbax").debug("%s", record.getMessage())
  return False


def _reason(error: Exception, path: str) -> str | None:
  # TensorStore's errors are ValueErrors that carry the errno in their text.
  text = str(error)
  number = error.errno if isinstance(error, OSError) else None
  full = [code for code in _FULL if f"os_error_code='{code}'" in text]
  if full or number in _FULL:
    return (
      f"no space left for {path} ({_free_mb(path)} MB free). The checkpoints"
      " before it are intact; free some space or choose another folder."
    )
  if isinstance(error, OSError) or "os_error_code=" in text:
    return f"{text} (folder {path})."
  return None


def _free_mb(path: str) -> str:
  folder = _existing(path)
  return str(shutil.disk_usage(folder).free // 2**20) if folder else "unknown"


def _existing(path: str) -> str:
  """Returns the folder, or the nearest above it that exists; "" without any."""
  while path and not os.path.exists(path):
    path = os.path.dirname(path)
  return path
