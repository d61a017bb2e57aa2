import os
import signal
import threading

import pytest

from jft import interrupt

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def handlers():
  return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_asks_and_the_second_raises(number):
  before = handlers()
  with interrupt.graceful() as stop:
    assert not stop
    os.kill(os.getpid(), number)
    assert stop
    with pytest.raises(KeyboardInterrupt):
      os.kill(os.getpid(), number)
  assert handlers() == before


def test_handlers_come_back_after_an_error():
  before = handlers()
  with pytest.raises(ZeroDivisionError), interrupt.graceful():
    raise ZeroDivisionError
  assert handlers() == before


def test_in_another_thread_signals_are_left_alone():
  seen = []

  def work():
    before = handlers()
    with interrupt.graceful() as stop:
      seen.append(handlers() == before)
      stop.set()
      seen.append(bool(stop))

  thread = threading.Thread(target=work)
  thread.start()
  thread.join()
  assert seen == [True, True]
