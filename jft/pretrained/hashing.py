"""The hashes of files, once, and while something else is being done."""

import contextlib
import hashlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from jft import digests
from jft.errors import UserError


class Hashes:
  """The hash of some files as they are now, computed when it is asked for.

  To hash takes longer than to read, and who loads a model to use it does not
  wait for it; `begin` has it ready for who asks.

  Args:
    files: in an order that counts; of none the hash is "".
  """

  def __init__(self, files: Sequence[Path] = ()):
    self._files = [(file, _stamp(file)) for file in files]
    self._found: list[str] = []
    self._lock = threading.Lock()

  def __deepcopy__(self, memo: object) -> "Hashes":
    return self  # a lock cannot be copied, and the files are the same

  @property
  def sha256(self) -> str:
    """Of one file its own, of several that of their hashes in a row.

    Raises:
      UserError: if a file has changed since, or is gone.
    """
    with self._lock:  # two threads would both read the files
      for file, stamp in self._files[len(self._found) :]:
        self._found.append(_unchanged(file, stamp))
    if len(self._found) < 2:
      return "".join(self._found)
    return hashlib.sha256("".join(self._found).encode()).hexdigest()

  def begin(self) -> None:
    """Hashes on a thread of its own, which nothing waits for at exit."""

    def run() -> None:
      with contextlib.suppress(UserError):  # whoever asks for it is told
        _ = self.sha256

    threading.Thread(target=run, daemon=True).start()


def _unchanged(file: Path, stamp: tuple[int, ...] | None) -> str:
  found = None
  with contextlib.suppress(OSError):
    found = digests.file_sha256(file)
  if found is None or stamp is None or _stamp(file) != stamp:
    raise UserError(
      f"{file} is gone or has changed since it was loaded, so what was loaded"
      " has no hash; load it again."
    )
  return found


def _stamp(file: Path) -> tuple[int, ...] | None:
  try:
    found = os.stat(file)
  except OSError:
    return None
  return found.st_ino, found.st_size, found.st_mtime_ns
