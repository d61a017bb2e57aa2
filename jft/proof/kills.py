"""Runs that are killed at random and must come out as if they had not been."""

import dataclasses
import itertools
import json
import pathlib
import random
import signal
import subprocess
import sys
import time

from jft import writers
from jft.errors import UserError
from jft.proof.compare import Comparison, compare
from jft.typing import Any, Callable, Sequence

# The shares of the kills before, in and after training.
_SHARES = {"startup": 0.1, "training": 0.8, "ending": 0.1}
_MOST_IN_A_RUN = 8
_POLL_SECS = 0.01


@dataclasses.dataclass(frozen=True)
class Kill:
  """One SIGKILL.

  Attributes:
    run: the number of the run it hit.
    step: the last update on record, 0 before the first.
    saving: was a checkpoint half-written?
  """

  run: int
  step: int
  saving: bool


@dataclasses.dataclass(frozen=True)
class Proof:
  """What came of the kills.

  Attributes:
    kills: all of them.
    comparisons: each killed run with the one that was left alone.
    sha256: of the best model of the run that was left alone.
    same_model: have all the killed runs that very model?
  """

  kills: tuple[Kill, ...]
  comparisons: tuple[Comparison, ...]
  sha256: str
  same_model: bool

  @property
  def holds(self) -> bool:
    """Is every killed run identical with the one that was left alone?"""
    return self.same_model and all(c.identical for c in self.comparisons)


def prove(
  arguments: Sequence[str],
  folder: pathlib.Path,
  *,
  kills: int,
  seed: int,
  say: Callable[[str], None] = lambda line: None,
) -> Proof:
  """Runs once without a kill, then kills and resumes until all were dealt.

  Every process is a fresh `jft train`. A killed run that reaches its end before
  all kills were dealt is compared, and another one begins.

  Args:
    arguments: of `jft train`, without its workdir.
    folder: for the runs; empty or not there yet.
    kills: how many, at least 1.
    seed: of the moments.
    say: gets a line for each thing that happens.

  Raises:
    UserError: if the run fails without any kill.
  """
  if kills < 1:
    raise UserError(f"--kills={kills} must be at least 1.")
  folder.mkdir(parents=True, exist_ok=True)
  if next(folder.iterdir(), None):
    raise UserError(f"{folder} is not empty; give a new folder.")
  straight = folder / "straight"
  times = _straight(arguments, straight)
  say(
    f"without a kill: {times.startup:.1f} s to start, {times.training:.1f} s to"
    f" train, {times.ending:.1f} s to end"
  )
  dice = random.Random(seed)
  dealt: list[Kill] = []
  comparisons: list[Comparison] = []
  hashes = set()
  while len(dealt) < kills:
    run = folder / f"killed_{len(comparisons) + 1}"
    dealt += _until_the_end(
      arguments, run, len(comparisons) + 1, kills - len(dealt), times, dice, say
    )
    comparisons.append(compare(straight, run, names=("straight", "killed")))
    hashes.add(_model(run))
  return Proof(
    tuple(dealt),
    tuple(comparisons),
    _model(straight),
    hashes == {_model(straight)},
  )


@dataclasses.dataclass(frozen=True)
class _Times:
  """Seconds up to the first line of metrics, to the last one, to the end.

  And how many lines and updates there are.
  """

  startup: float
  training: float
  ending: float
  lines: int
  steps: int


def _straight(arguments: Sequence[str], run: pathlib.Path) -> _Times:
  marks = [time.monotonic()]
  with _train(arguments, run) as process:
    _wait_for_lines(process, run, 0)
    marks += [time.monotonic()] * 2
    seen = 0
    while process.poll() is None:
      if (lines := _lines(run)[0]) > seen:
        seen, marks[2] = lines, time.monotonic()
      time.sleep(_POLL_SECS)
    _finish(process, run)
  marks.append(time.monotonic())
  startup, training, ending = (b - a for a, b in itertools.pairwise(marks))
  return _Times(startup, training, ending, *_lines(run))


def _until_the_end(
  arguments: Sequence[str],
  run: pathlib.Path,
  number: int,
  most: int,
  times: _Times,
  dice: random.Random,
  say: Callable[[str], None],
) -> list[Kill]:
  """Kills and resumes one run until it ends, or after `most` kills lets it."""
  dealt: list[Kill] = []
  most = min(most, _MOST_IN_A_RUN)
  while True:
    with _train(arguments, run) as process:
      if len(dealt) == most:
        _finish(process, run)
        return dealt
      _wait(process, run, times, dice, most - len(dealt))
      if process.poll() is not None:
        _finish(process, run)
        return dealt
      process.send_signal(signal.SIGKILL)
      process.wait()
    dealt.append(Kill(number, _lines(run)[1], _is_saving(run)))
    say(
      f"run {number}: SIGKILL after update {dealt[-1].step}"
      + (", while saving" if dealt[-1].saving else "")
    )


def _wait(
  process: Any, run: pathlib.Path, times: _Times, dice: random.Random, left: int
) -> None:
  """Waits for a random moment, or for the end of the process.

  In training it is the first of `left` moments, evenly spread over the updates
  that are still to come.
  """
  (phase,) = dice.choices(list(_SHARES), list(_SHARES.values()))
  lines, step = _lines(run)
  if phase == "startup":
    secs = times.startup
  elif phase == "ending":
    secs = times.ending
    _wait_for_lines(process, run, lines, times.steps)
  else:
    ahead = (times.steps - step) * (1 - dice.random() ** (1 / left))
    secs = times.training / times.lines
    _wait_for_lines(process, run, lines, step + round(ahead))
  until = time.monotonic() + secs * dice.random()
  while process.poll() is None and time.monotonic() < until:
    time.sleep(_POLL_SECS)


def _wait_for_lines(
  process: Any, run: pathlib.Path, lines: int, step: int = 0
) -> None:
  """Waits until there are more lines of metrics, and up to this step."""
  while process.poll() is None:
    now, reached = _lines(run)
    if now > lines and reached >= step:
      return
    time.sleep(_POLL_SECS)


def _train(
  arguments: Sequence[str], run: pathlib.Path
) -> "subprocess.Popen[bytes]":
  command = [sys.executable, "-m", "jft.cli.main", "train", *arguments]
  log = run.with_suffix(".log").open("ab")
  with log:
    return subprocess.Popen(
      [*command, f"--workdir={run}"], stdout=log, stderr=subprocess.STDOUT
    )


def _finish(process: Any, run: pathlib.Path) -> None:
  if process.wait():
    log = run.with_suffix(".log")
    tail = log.read_text(errors="replace").splitlines()[-5:]
    raise UserError(
      f"the run ended with code {process.returncode} without being killed:\n"
      + "\n".join(f"  {line}" for line in tail)
      + f"\nThe whole output is in {log}."
    )


def _lines(run: pathlib.Path) -> tuple[int, int]:
  """Returns how many whole lines of metrics there are, and the last step."""
  try:
    rows = (run / writers.METRICS).read_bytes().split(b"\n")[:-1]
  except FileNotFoundError:
    return 0, 0
  return len(rows), json.loads(rows[-1])["step"] if rows else 0


def _is_saving(run: pathlib.Path) -> bool:
  return any((run / "checkpoints").glob("*.orbax-checkpoint-tmp*"))


def _model(run: pathlib.Path) -> str:
  return writers.read_json(run / "summary.json")["best_sha256"]
