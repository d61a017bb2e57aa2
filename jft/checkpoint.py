"""Checkpoints: latest, best and last good; complete, checked, restored exactly.

A checkpoint is one folder `<directory>/<step>`: the arrays that training
changes, a JSON record beside them, and a manifest of checksums. It appears by
one rename. The frozen half of the params is kept once a run beside them.
"""

import copy
import dataclasses
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import jax
import numpy as np

from jft import hosts, leaves
from jft.disk.frozen import FrozenStore
from jft.disk.marks import Marks
from jft.disk.record import Record, json_copy, numbers
from jft.disk.reporting import user_errors
from jft.disk.retention import Keep
from jft.disk.steps import StepStore
from jft.errors import UserError
from jft.state import TrainState

_log = logging.getLogger(__name__)


class DamagedCheckpointError(UserError):
  """A checkpoint whose files are not what was written."""


class Checkpointer:
  """Saves and restores train states in one folder; a context manager.

  Kept are the `keep_last` newest steps, the `keep_best` best ones and the
  newest one that was called good. All processes of a run call every method.

  Args:
    directory: the folder, made if it is missing; shared by all processes.
    keep_last: how many of the newest steps are kept, at least 1.
    keep_best: how many of the best steps are kept.
    best: the metric that ranks steps; None ranks none. A step without it, or
      where it is not finite, is never best; of equals the earlier is better.
    mode: "max" or "min", whichever is better.
    async_: write in the background; False makes `save` wait for the disk.

  Raises:
    UserError: if an argument or the folder cannot be used.
  """

  def __init__(
    self,
    directory: str | os.PathLike[str],
    *,
    keep_last: int = 1,
    keep_best: int = 1,
    best: str | None = "val/accuracy",
    mode: str = "max",
    async_: bool = True,
  ):
    self._best = best
    self._async = async_
    self._keep = Keep(keep_last, keep_best, mode)
    self._store = StepStore(directory, self._kept)
    self._path = self._store.directory
    self._frozen = FrozenStore(self._path / "frozen")
    self._marks = Marks(self._path)

  def save(
    self,
    state: TrainState,
    metrics: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    *,
    good: bool = False,
  ) -> bool:
    """Saves a state as step `state.step`, in the background.

    The arrays are copied off the device before this returns, so the next step
    may donate them. Waits for the save before it, and raises what that met.

    Args:
      state: the train state.
      metrics: {name: number} of this step.
      extra: what JSON can hold, for the host side of a run; see `read_extra`.
      good: whether the numbers of this step were seen to be finite.

    Returns:
      False if this very step and attempt is the newest on disk already: then
      nothing is written (`good` still counts).

    Raises:
      UserError: if a step this late exists already, `best` is not among the
        metrics, `extra` is not JSON, or the disk fails.
    """
    self.wait()
    hosts.require_shared(leaves.flatten(state))
    step = int(state.step)
    record = Record(
      step=step,
      attempt=int(state.attempt),
      metrics=numbers(metrics, self._best),
      leaves=leaves.describe(state),
      extra=json_copy(extra),
    )
    new = not self._is_repeat(record)
    if new:
      with user_errors("write the frozen weights", self._path):
        name = self._frozen.put(state.frozen)
      record = dataclasses.replace(record, frozen=name)
      self._marks.forget(step)
    if good:
      self._marks.add_good(step, self.all_steps())
    if new:
      self._store.write(step, leaves.plain(_thawed(state)), record)
    if not self._async:
      self.wait()
    return new

  def restore(self, step: int, state: TrainState) -> TrainState:
    """Returns the state saved at `step`, bit for bit.

    Args:
      step: one of `all_steps()`.
      state: gives structure, shapes, types and shardings.

    Raises:
      UserError: if there is no such step, it is damaged, or it does not fit.
    """
    self.wait()
    record = self._fitting(step, state)
    target = _thawed(state)
    try:
      arrays = self._store.read(step, leaves.targets(target))
    except Exception as error:
      raise self._damaged(step, str(error)) from error
    frozen = self._frozen.get(record.frozen, state.frozen)
    return dataclasses.replace(leaves.rebuild(target, arrays), frozen=frozen)

  def restore_or(self, state: TrainState) -> TrainState:
    """Returns the newest intact checkpoint, or `state` where there is none.

    Damaged newer ones are renamed to `damaged-<step>`, with a warning.

    Raises:
      UserError: if there are checkpoints and none is intact, or the newest
        intact one does not fit `state`.
    """
    self.wait()
    damaged: dict[int, DamagedCheckpointError] = {}
    for step in reversed(self.all_steps()):
      try:
        restored = self.restore(step, state)
      except DamagedCheckpointError as error:
        damaged[step] = error
        continue
      for other, error in damaged.items():
        path = self._store.set_aside(other)
        _log.warning("%s; moved to %s, going on from %d", error, path, step)
      return restored
    if damaged:
      raise UserError(
        f"no checkpoint in {self._path} is intact:\n"
        + "\n".join(map(str, damaged.values()))
        + "\nDelete them to begin again."
      )
    return state

  def restore_best(self, state: TrainState) -> TrainState:
    """Returns the state of `best_step`; see `restore`."""
    step = self.best_step
    if step is None:
      raise UserError(
        f"no checkpoint in {self._path} has a finite {self._best!r}; give it to"
        " save(state, metrics=...), or take the newest with restore_or(state)."
      )
    return self.restore(step, state)

  def rollback_to(self, step: int, state: TrainState) -> TrainState:
    """Deletes all later steps, then restores `step` for another attempt.

    Returns:
      The state of `step`, with an `attempt` that was never used before.

    Raises:
      UserError: as `restore`; nothing was deleted then.
    """
    self.wait()
    self._fitting(step, state)
    records = filter(None, self._store.records.values())
    used = max(record.attempt for record in records)
    attempt = 1 + max(used, int(state.attempt), self._marks.attempt)
    self._marks.roll_back(step, attempt)
    for later in reversed(self.all_steps()):
      if later > step:
        self._store.delete(later)
    restored = self.restore(step, state)
    value = np.asarray(attempt, restored.attempt.dtype)
    placed = jax.device_put(value, restored.attempt.sharding)
    return dataclasses.replace(restored, attempt=placed)

  def mark_good(self, step: int) -> None:
    """Says that a saved step's numbers were seen to be finite."""
    self._record(step)
    self._marks.add_good(step, self.all_steps())

  def metrics(self, step: int) -> dict[str, float]:
    """Returns the metrics saved with a step."""
    return dict(self._record(step).metrics)

  def read_extra(self, step: int) -> dict[str, Any]:
    """Returns what was given to `save` as `extra`, {} if nothing was."""
    return copy.deepcopy(self._record(step).extra)

  def all_steps(self) -> list[int]:
    """Returns the kept steps, oldest first, with one that is being written."""
    return self._store.steps()

  @property
  def latest_step(self) -> int | None:
    """The newest step, or None."""
    return max(self.all_steps(), default=None)

  @property
  def best_step(self) -> int | None:
    """The step with the best finite metric, or None."""
    ranked = self._keep.ranked(self._scores(self.all_steps()))
    return ranked[0] if ranked else None

  @property
  def good_step(self) -> int | None:
    """The newest step called good, or None."""
    return max(self._marks.good.intersection(self.all_steps()), default=None)

  def wait(self) -> None:
    """Waits until the save in the background is on disk.

    Raises:
      UserError: if it could not be written (a full disk, no permission); the
        checkpoints before it are untouched.
    """
    self._store.wait()

  def close(self) -> None:
    """Waits, and deletes the frozen weights that no checkpoint refers to."""
    try:
      self.wait()
      self._store.reload()
      records = self._store.records.values()
      if all(records):
        self._frozen.prune({record.frozen for record in records if record})
    finally:
      self._store.close()

  def __enter__(self) -> Self:
    return self

  def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
    try:
      self.close()
    except UserError as error:
      if kind is None:
        raise
      # What stopped the run matters more; this is told all the same.
      _log.error("%s", error)

  def _kept(self, steps: Sequence[int]) -> set[int]:
    return self._keep.kept(self._scores(steps), self._marks.good)

  def _scores(self, steps: Sequence[int]) -> dict[int, float | None]:
    records = {step: self._store.records.get(step) for step in steps}
    return {
      step: record.metrics.get(self._best or "") if record else None
      for step, record in records.items()
    }

  def _is_repeat(self, record: Record) -> bool:
    latest = self.latest_step
    if latest is None or record.step > latest:
      return False
    old = self._store.records.get(latest)
    if old and record.repeats(old):
      return True
    raise UserError(
      f"cannot save step {record.step} (attempt {record.attempt}):"
      f" {self._path} holds step {latest} already. Begin with"
      " restore_or(state), go back with rollback_to(step, state), or use"
      " another folder."
    )

  def _record(self, step: int) -> Record:
    if step not in self.all_steps():
      raise UserError(
        f"no checkpoint of step {step} in {self._path}; there are"
        f" {self.all_steps() or 'none'}."
      )
    record = self._store.records.get(step)
    if record is None:
      raise self._damaged(step, "its record cannot be read")
    return record

  def _fitting(self, step: int, state: TrainState) -> Record:
    """Returns the record of a step that is intact and of this structure."""
    record = self._record(step)
    problems = self._store.problems(step)
    # All processes must go the same way; the files are shared.
    if hosts.agreed(bool(problems)):
      raise self._damaged(step, "; ".join(problems[:3]))
    rows = leaves.difference(record.leaves, leaves.describe(state))
    if rows:
      raise UserError(
        f"checkpoint {step} in {self._path} does not fit this state, {rows}\n"
        "Build the state with the model, the labels and the optimizer of that"
        " run (see its run.json), or use another folder."
      )
    return record

  def _damaged(self, step: int, reason: str) -> DamagedCheckpointError:
    path = self._path / str(step)
    return DamagedCheckpointError(
      f"checkpoint {step} is damaged: {reason} (delete {path}, or go back to"
      f" another of {self.all_steps()})"
    )


def _thawed(state: TrainState) -> TrainState:
  return dataclasses.replace(state, frozen={})
