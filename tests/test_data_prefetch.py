import itertools
import threading
import time

import pytest

from jft.data.prefetch import prefetch


def _threads():
  return [t for t in threading.enumerate() if "jft-prefetch" in t.name]


@pytest.mark.parametrize("depth", [0, 1, 3, 50])
def test_results_come_in_order(depth):
  assert list(prefetch(lambda x: x * x, range(20), depth)) == [
    x * x for x in range(20)
  ]
  assert not _threads()


def test_no_more_than_depth_calls_are_ahead():
  called = []
  results = prefetch(called.append, itertools.count(), depth=3)
  next(results)
  next(results)
  time.sleep(0.05)
  assert len(called) <= 5  # two taken, three ahead
  results.close()


def test_calls_run_ahead_of_the_consumer():
  done = threading.Event()
  results = prefetch(lambda x: x == 1 and done.set(), itertools.count(), 2)
  next(results)
  assert done.wait(5)
  results.close()


def test_an_exception_takes_the_place_of_its_result():
  def fail_at_two(x):
    if x == 2:
      raise KeyError("two")
    return x

  results = prefetch(fail_at_two, itertools.count(), 2)
  assert [next(results), next(results)] == [0, 1]
  with pytest.raises(KeyError, match="two"):
    next(results)
  assert not _threads()


def test_closing_ends_the_thread_and_drops_what_waits():
  called = []

  def slow(x):
    called.append(x)
    time.sleep(0.02)

  results = prefetch(slow, itertools.count(), 30)
  next(results)
  assert _threads()
  results.close()
  assert not _threads()
  assert len(called) < 20


def test_ctrl_c_in_the_loop_ends_the_thread():
  def consume():
    for x in prefetch(lambda x: x, itertools.count(), 2):
      if x == 3:
        raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    consume()
  assert not _threads()
