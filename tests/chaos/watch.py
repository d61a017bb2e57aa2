"""What a reader may do with an input: read it, or raise UserError, and soon."""

import contextlib
import dataclasses
import functools
import logging
import os
import pathlib
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from jft.errors import UserError

MOST_SECS = 2.0  # of processor time
HANG_SECS = 20
MOST_MB = 300
ADDRESS_MB = 3000

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
_CALLS = ("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.putenv")
_CALLS += ("subprocess.Popen", "socket.connect", "ctypes.dlopen", "pty.spawn")
_FILES = ("os.remove", "os.rename", "os.rmdir", "os.chmod", "os.truncate")


class Hang(BaseException):
  """Raised into a reader that does not come back."""


class Forbidden(BaseException):
  """Raised into a reader that does what no reader has to do."""


@dataclasses.dataclass
class Watch:
  """Where files may be written; nowhere and no watch while it is None."""

  folder: str | None = None

  def audit(self, event: str, args: tuple[Any, ...]) -> None:
    if self.folder is None:
      return
    if event in _CALLS:
      raise Forbidden(f"{event} {args!r}")
    if event in _FILES or (event == "open" and args[2] & _WRITES):
      path = args[0]
      if isinstance(path, str | bytes | os.PathLike):
        path = os.path.abspath(os.fsdecode(path))
        if not path.startswith(self.folder + os.sep):
          raise Forbidden(f"{event} {path!r}")


@functools.cache
def _watch() -> Watch:
  # Once, and for good: Python knows no way to remove a hook.
  watch = Watch()
  sys.addaudithook(watch.audit)
  return watch


@contextlib.contextmanager
def limits() -> Iterator[Watch]:
  """Bounds this process's memory and time, and watches what it does."""
  watch = _watch()
  before = resource.getrlimit(resource.RLIMIT_AS)
  pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
  most = pages * resource.getpagesize() + ADDRESS_MB * 2**20

  def hang(*_: Any) -> None:
    raise Hang(f"still running after {HANG_SECS} s")

  on_main = threading.current_thread() is threading.main_thread()
  previous = signal.signal(signal.SIGALRM, hang) if on_main else None
  resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
  logging.disable()
  # Python's own cache of what is imported late is no doing of a reader.
  bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
  try:
    yield watch
  finally:
    watch.folder = None
    sys.dont_write_bytecode = bytecode
    resource.setrlimit(resource.RLIMIT_AS, before)
    logging.disable(logging.NOTSET)
    if on_main:
      signal.signal(signal.SIGALRM, previous)


def outcome(
  reader: Any, folder: pathlib.Path, data: bytes, watch: Watch
) -> str:
  """Returns "accepted", "refused", or what went wrong."""
  started, peak = time.process_time(), _peak_mb()
  watch.folder = str(folder)
  signal.setitimer(signal.ITIMER_REAL, HANG_SECS)
  try:
    reader.read(folder, data)
    found = "accepted"
  except UserError as error:
    found = "refused"
    if not str(error):
      found = "a UserError without a message"
  except (KeyboardInterrupt, GeneratorExit):
    raise
  except BaseException as error:  # Rust's panics are no Exceptions.
    found = f"{type(error).__name__}: {error}"[:200]
  finally:
    signal.setitimer(signal.ITIMER_REAL, 0)
    watch.folder = None
  secs, grown = time.process_time() - started, _peak_mb() - peak
  if secs > MOST_SECS:
    return f"took {secs:.1f} s ({found})"
  if grown > MOST_MB:
    return f"took {grown:.0f} MB ({found})"
  return found


def _peak_mb() -> float:
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
