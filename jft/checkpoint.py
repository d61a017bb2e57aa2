"""Checkpoints: latest, best and last good; complete, checked, restored exactly.

A checkpoint is one folder `<directory>/<step>`: the arrays that training
changes, a JSON record beside them, and a manifest of checksums. It appears by
one rename. The frozen half of the params is kept once a run beside them.
"""

import copy
import dataclasses
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any, Self

import jax
import numpy as np

from jft import hosts, leaves
from jft.disk.catalog import Catalog, DamagedCheckpointError
from jft.disk.frozen import FrozenStore
from jft.disk.record import Record, json_copy, numbers
from jft.disk.reporting import user_errors
from jft.disk.retention import Keep
from jft.errors import UserError
from jft.state import TrainState

__all__ = ["Checkpointer", "DamagedCheckpointError"]

_log = logging.getLogger(__name__)


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
    read_only: only look; safe while another process writes.

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
    read_only: bool = False,
  ):
    self._best = best
    self._async = async_
    self._writes = not read_only
    keep = Keep(keep_last, keep_best, mode)
    self._catalog = Catalog(
      os.fspath(directory), keep, best, read_only=read_only
    )
    self._path, self._marks = self._catalog.path, self._catalog.marks
    self._store = self._catalog.store
    self._frozen = FrozenStore(self._path / "frozen")
    self._lost: dict[int, str] = {}

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
    new = not self._catalog.is_repeat(record)
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
    record = self._catalog.fitting(step, leaves.describe(state))
    target = _thawed(state)
    try:
      arrays = self._store.read(step, leaves.targets(target))
    except Exception as error:
      raise self._catalog.damaged(step, str(error)) from error
    frozen = self._frozen.get(record.frozen, state.frozen)
    return dataclasses.replace(leaves.rebuild(target, arrays), frozen=frozen)

  def restore_or(self, state: TrainState) -> TrainState:
    """Returns the newest intact checkpoint, or `state` where there is none.

    Damaged newer ones are renamed to `damaged-<step>`, with a warning; see
    `lost`. After a roll-back that no save followed, the state is that of the
    new attempt, and `read_extra` of its step what the roll-back was given.

    Raises:
      UserError: if there are checkpoints and none is intact, or the newest
        intact one does not fit `state`.
    """
    self.wait()
    back = self._marks.rollback
    if back and self._writes:
      # A roll-back that was cut off had still to delete these.
      self._catalog.delete_after(back.step, back.attempt)
    if not self.all_steps():
      return state
    self._tell_unranked()
    step, restored = self._newest_intact(reversed(self.all_steps()), state)
    if back and back.step == step:
      return _as_attempt(restored, back.attempt)
    return restored

  def restore_best(self, state: TrainState) -> TrainState:
    """Returns the state of `best_step`, or of the best that is intact.

    Raises:
      UserError: if there is none, or it does not fit `state`.
    """
    self.wait()
    self._tell_unranked()
    ranked = self._catalog.ranked()
    if not ranked:
      raise UserError(
        f"no checkpoint in {self._path} has a finite {self._best!r}: start the"
        " run again, it goes on to its next evaluation; in code, give it to"
        " save(state, metrics=...), or take the newest with restore_or(state)."
      )
    return self._newest_intact(iter(ranked), state)[1]

  def rollback_to(
    self,
    step: int,
    state: TrainState,
    extra: Mapping[str, Any] | None = None,
  ) -> TrainState:
    """Deletes all later steps, then restores `step` for another attempt.

    A process that is killed after this goes on with that attempt, too.

    Args:
      step: one of `all_steps()`.
      state: as for `restore`.
      extra: the host's side of the run as it goes on from here; what
        `read_extra(step)` returns from now on, the step's own if None.

    Returns:
      The state of `step`, with an `attempt` that was never used before.

    Raises:
      UserError: as `restore`; nothing was deleted then.
    """
    self.wait()
    record = self._catalog.fitting(step, leaves.describe(state))
    attempt = self._catalog.attempt_after(int(state.attempt))
    kept = record.extra if extra is None else json_copy(extra)
    self._marks.roll_back(step, attempt, kept)
    self._catalog.delete_after(step)
    return _as_attempt(self.restore(step, state), attempt)

  def mark_good(self, step: int) -> None:
    """Says that a saved step's numbers were seen to be finite."""
    self._catalog.record(step)  # Raises if there is none.
    self._marks.add_good(step, self.all_steps())

  def metrics(self, step: int) -> dict[str, float]:
    """Returns the metrics saved with a step."""
    return dict(self._catalog.record(step).metrics)

  def read_extra(self, step: int) -> dict[str, Any]:
    """Returns what was given to `save` as `extra`, {} if nothing was."""
    record, back = self._catalog.record(step), self._marks.rollback
    if back and back.step == step:
      return copy.deepcopy(dict(back.extra))
    return copy.deepcopy(record.extra)

  def all_steps(self) -> list[int]:
    """Returns the kept steps, oldest first, with one that is being written."""
    return self._store.steps()

  @property
  def latest_step(self) -> int | None:
    """The newest step, or None."""
    return self._catalog.latest

  @property
  def best_step(self) -> int | None:
    """The step with the best finite metric, or None."""
    return next(iter(self._catalog.ranked()), None)

  @property
  def good_step(self) -> int | None:
    """The newest step called good, or None."""
    return self._catalog.good

  @property
  def lost(self) -> dict[int, str]:
    """The steps that were found damaged since this was opened: {step: why}."""
    return dict(self._lost)

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
      if all(records) and self._writes:
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

  def _tell_unranked(self) -> None:
    """A step without a readable record may have been the best one."""
    for step in self.all_steps():
      if self._store.records.get(step) is None and step not in self._lost:
        error = self._catalog.damaged(step, "its record cannot be read")
        self._lost[step] = str(error)
        _log.warning("%s; it cannot be ranked", error)

  def _newest_intact(
    self, steps: Iterator[int], state: TrainState
  ) -> tuple[int, TrainState]:
    """Restores the first intact step; sets the damaged ones before it aside."""
    damaged: dict[int, DamagedCheckpointError] = {}
    for step in steps:
      try:
        restored = self.restore(step, state)
      except DamagedCheckpointError as error:
        damaged[step] = error
        continue
      for other, error in damaged.items():
        self._lost[other] = str(error)
        place = "left as it is"
        if self._writes:
          place = f"moved to {self._store.set_aside(other)}"
        _log.warning("%s; %s, going on from %d", error, place, step)
      return step, restored
    raise UserError(
      f"no checkpoint in {self._path} is intact:\n"
      + "\n".join(map(str, damaged.values()))
      + "\nDelete them to begin again."
    )


def _thawed(state: TrainState) -> TrainState:
  return dataclasses.replace(state, frozen={})


def _as_attempt(state: TrainState, attempt: int) -> TrainState:
  value = np.asarray(attempt, state.attempt.dtype)
  placed = jax.device_put(value, state.attempt.sharding)
  return dataclasses.replace(state, attempt=placed)
