"""One run a folder."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from jft import lock
from jft.errors import UserError

HOLD = """
import pathlib, sys, time
from jft import lock
with lock.held(pathlib.Path(sys.argv[1])):
  print("held", flush=True)
  time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
  """Another process that holds the lock of `tmp_path`."""
  with subprocess.Popen(
    [sys.executable, "-c", HOLD, str(tmp_path)],
    stdout=subprocess.PIPE,
    text=True,
  ) as process:
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()


def test_the_owner_is_named(tmp_path, other):
  wanted = rf"in use by process {other.pid} on \S+, for 0 minutes"
  with pytest.raises(UserError, match=wanted), lock.held(tmp_path):
    pass
  with pytest.raises(UserError, match=wanted):
    lock.refuse_if_taken(tmp_path)


def test_a_killed_owner_holds_nothing(tmp_path, other):
  os.kill(other.pid, signal.SIGKILL)
  other.wait()
  lock.refuse_if_taken(tmp_path)
  with lock.held(tmp_path):
    pass


@pytest.mark.parametrize("shift", [-1e6, 1e6])
def test_a_clock_that_jumps_only_changes_the_age(tmp_path, monkeypatch, shift):
  now = time.time()
  with lock.held(tmp_path):
    monkeypatch.setattr(time, "time", lambda: now + shift)
    minutes = max(0, round(shift / 60))
    with pytest.raises(UserError, match=rf"for {minutes} minutes"):
      lock.refuse_if_taken(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"since": "x"}', "\0"])
def test_an_owner_that_cannot_be_read(tmp_path, content):
  with lock.held(tmp_path):
    (tmp_path / lock.FILE).write_text(content)
    with pytest.raises(UserError, match="in use by another process"):
      lock.refuse_if_taken(tmp_path)


def test_the_next_one_may_have_it(tmp_path):
  for _ in range(2):
    with lock.held(tmp_path):
      saved = json.loads((tmp_path / lock.FILE).read_text())
      assert saved["process"] == os.getpid()
  lock.refuse_if_taken(tmp_path)


def test_nothing_is_made_by_asking(tmp_path):
  lock.refuse_if_taken(tmp_path)
  lock.refuse_if_taken(tmp_path / "missing")
  assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks(tmp_path, monkeypatch):
  def no_locks(*_):
    raise OSError(95, "Operation not supported")

  monkeypatch.setattr(lock.fcntl, "flock", no_locks)
  with lock.held(tmp_path):
    pass
