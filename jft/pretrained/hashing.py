"""The hashes of files, once, and while something else is being done."""

import contextlib
import hashlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path


def sha256(path: str | Path) -> str:
  """Returns the hex SHA-256 of a file's content."""
  with open(path, "rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


class Hashes:
  """The hash of some files, computed by whoever asks for it first.

  Args:
    files: in an order that counts.
  """

  def __init__(self, files: Sequence[Path]):
    self._files, self._found = files, []
    self._lock = threading.Lock()

  @property
  def sha256(self) -> str:
    """Of one file its own, of several that of their hashes in a row."""
    with self._lock:  # two threads would both read the files
      self._found.extend(map(sha256, self._files[len(self._found) :]))
    if len(self._found) == 1:
      return self._found[0]
    return hashlib.sha256("".join(self._found).encode()).hexdigest()

  @contextlib.contextmanager
  def behind(self) -> Iterator[None]:
    """Hashes while the body works, and waits for it at the body's end.

    Hashing takes as long as reading, and both share one pass over the disk. An
    error of the body is raised at once.
    """

    def run() -> None:
      with contextlib.suppress(OSError):  # whoever asks for the hash is told
        _ = self.sha256

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    thread.join()
