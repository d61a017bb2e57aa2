"""Ctrl-C and SIGTERM: finish the step first, then save and stop."""

import contextlib
import signal
import threading
from collections.abc import Iterator


class Interrupt:
  """Set once a signal has asked the run to stop."""

  def __init__(self):
    self._event = threading.Event()

  def __bool__(self) -> bool:
    return self._event.is_set()

  def set(self) -> None:
    """Asks the run to stop after the step under way."""
    self._event.set()


@contextlib.contextmanager
def graceful() -> Iterator[Interrupt]:
  """Turns the first SIGINT or SIGTERM into a flag; the second raises.

  Outside the main thread, where Python allows no handlers, signals do what
  they did before.
  """
  flag = Interrupt()
  if threading.current_thread() is not threading.main_thread():
    yield flag
    return

  def handler(signum, frame):
    if flag:
      raise KeyboardInterrupt
    flag.set()

  numbers = (signal.SIGINT, signal.SIGTERM)
  before = [signal.signal(number, handler) for number in numbers]
  try:
    yield flag
  finally:
    for number, old in zip(numbers, before, strict=True):
      signal.signal(number, old)
