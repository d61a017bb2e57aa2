"""Disks that are full, read-only or slow, and power that is cut."""

import contextlib
import os
import pathlib
import subprocess
import time

import pytest
from chaos import fitted
from variants import some

from jft import loop
from jft.disk import manifest
from jft.errors import UserError
from jft.writers import MetricsWriter


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
  overrides = ("train.steps=8", "eval.every_steps=2")
  with fitted.straight(tmp_path_factory, *overrides) as made:
    yield made


@contextlib.contextmanager
def mounted(folder, options):
  """A file system in memory, where the tests may mount one."""
  folder.mkdir()
  command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
  try:
    subprocess.run(command, check=True, capture_output=True)
  except (OSError, subprocess.CalledProcessError) as error:
    pytest.skip(f"cannot mount a file system here: {error}")
  try:
    yield folder
  finally:
    subprocess.run(["umount", "-l", str(folder)], check=True)


# Orbax's threads die each in its own way when a disk fills up under them.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kilobytes", some([16, 1000, 1300, 1400, 1500], 16))
def test_a_full_disk_is_told_and_the_run_goes_on_with_more_room(
  straight, tmp_path, kilobytes
):
  with mounted(tmp_path / "disk", f"size={kilobytes}k") as disk:
    with pytest.raises(UserError, match="no space left"):
      straight.resume(disk / "run")
    options = f"remount,size={kilobytes + 4096}k"
    subprocess.run(["mount", "-o", options, str(disk)], check=True)
    straight.resume(disk / "run")
    assert straight.same(disk / "run")


def test_a_read_only_disk_is_told(straight, tmp_path):
  with (
    mounted(tmp_path / "disk", "ro,size=64k") as disk,
    pytest.raises(UserError, match="Read-only file system"),
  ):
    straight.resume(disk / "run")


@pytest.mark.slow
def test_a_slow_disk_changes_nothing(straight, tmp_path, monkeypatch):
  original = manifest.write

  def slow(folder):
    time.sleep(0.2)
    original(folder)

  monkeypatch.setattr(manifest, "write", slow)
  straight.resume(tmp_path / "run")
  assert straight.same(tmp_path / "run")


@pytest.mark.parametrize("jump_secs", some([1e6, -1e6], -1e6))
def test_a_clock_that_jumps_changes_nothing(
  straight, tmp_path, monkeypatch, jump_secs
):
  """In the middle of a save, which Orbax gives a time limit."""
  original, clock, shift = manifest.write, time.time, []
  monkeypatch.setattr(time, "time", lambda: clock() + sum(shift))

  def write(folder):
    original(folder)
    shift.append(jump_secs)

  monkeypatch.setattr(manifest, "write", write)
  straight.resume(tmp_path / "run")
  assert len(shift) == 5
  assert straight.same(tmp_path / "run")


class Power:
  """Knows how much of each file is on the disk itself, by fsync."""

  def __init__(self, patch):
    self._safe = {}
    original = os.fsync

    def fsync(opened):
      original(opened)
      stat = os.fstat(opened)
      self._safe[stat.st_ino] = stat.st_size

    patch.setattr(os, "fsync", fsync)

  def cut(self, folder, target):
    """Copies a folder as it would be found after a power cut.

    What was never synced is empty, what was appended since is gone. Renames
    and deletions are kept in their order, as journaling file systems do.
    """
    inodes = {}
    for path in folder.rglob("*"):
      with contextlib.suppress(FileNotFoundError):
        inodes[path.relative_to(folder)] = path.stat().st_ino
    fitted.copy(folder, target)
    for path in target.rglob("*"):
      if path.is_file():
        safe = self._safe.get(inodes.get(path.relative_to(target)), 0)
        if path.stat().st_size > safe:
          os.truncate(path, safe)
    return target


def cut_at(straight, tmp_path, monkeypatch, every):
  """Runs once; returns the folders that power cuts on the way would leave."""
  found = []
  with monkeypatch.context() as patch:
    power, count = Power(patch), iter(range(10**6))
    original = MetricsWriter.write

    def write(self, *args):
      original(self, *args)
      if next(count) % every == 0:
        target = tmp_path / f"cut_{len(found)}"
        found.append(power.cut(pathlib.Path(tmp_path / "run"), target))

    patch.setattr(MetricsWriter, "write", write)
    straight.resume(tmp_path / "run")
  return found


def check_cuts(straight, cuts):
  """Each goes on to the same model; returns whether it had anything to."""
  steps = []
  for folder in cuts:
    loop.fit(straight.config, folder)
    assert (
      fitted.summary(folder)["best_sha256"]
      == (fitted.summary(straight.workdir)["best_sha256"])
    )
    text = (folder / "metrics.jsonl").read_text()
    steps.append(text.count('"resumed"'))
  return steps


@pytest.mark.slow
def test_a_power_cut_costs_what_was_not_saved(straight, tmp_path, monkeypatch):
  cuts = cut_at(straight, tmp_path, monkeypatch, every=4)
  resumed = check_cuts(straight, cuts)
  assert len(resumed) >= 3
  assert sum(resumed) >= 1  # the first may come before anything was saved


@pytest.mark.chaos
def test_power_cuts_at_every_line(straight, tmp_path, monkeypatch):
  cuts = cut_at(straight, tmp_path, monkeypatch, every=1)
  resumed = check_cuts(straight, cuts)
  print(f"\n{len(cuts)} power cuts, {sum(resumed)} resumed, 0 wrong")
