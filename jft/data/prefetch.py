"""Results of the next few calls, computed ahead on a thread, in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def prefetch(
  fn: Callable[[In], Out], arguments: Iterable[In], depth: int
) -> Iterator[Out]:
  """Yields fn(argument) for each argument, up to `depth` calls ahead.

  An exception in `fn` is raised here, in the place of its result. Closing the
  generator (also by leaving the loop, or by Ctrl-C) drops the waiting calls
  and ends the thread.

  Args:
    fn: called on one thread, in order.
    arguments: may be endless.
    depth: how many results may wait; 0 calls `fn` right here.
  """
  if depth == 0:
    yield from map(fn, arguments)
    return
  pool = ThreadPoolExecutor(1, thread_name_prefix="jft-prefetch")
  waiting = deque()
  try:
    for argument in arguments:
      waiting.append(pool.submit(fn, argument))
      if len(waiting) > depth:
        yield waiting.popleft().result()
    while waiting:
      yield waiting.popleft().result()
  finally:
    pool.shutdown(wait=True, cancel_futures=True)
