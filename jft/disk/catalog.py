"""Which checkpoints there are, and what each is: newest, best, good."""

from collections.abc import Mapping, Sequence

from jft import hosts, leaves
from jft.disk.marks import Marks
from jft.disk.record import Record
from jft.disk.retention import Keep
from jft.disk.steps import StepStore
from jft.errors import UserError


class DamagedCheckpointError(UserError):
  """A checkpoint whose files are not what was written."""


class Catalog:
  """The steps of a folder, as their records and marks describe them.

  Args:
    directory: the folder.
    keep: which steps stay.
    best: the metric that ranks them, or None.
    read_only: write and delete nothing.
  """

  def __init__(
    self, directory: str, keep: Keep, best: str | None, *, read_only: bool
  ):
    self._keep, self._best = keep, best or ""
    self.store = StepStore(directory, self._kept, read_only=read_only)
    self.path = self.store.directory
    self.marks = Marks(self.path, read_only=read_only)

  def steps(self) -> list[int]:
    """Returns the steps, oldest first, with one that is being written."""
    return self.store.steps()

  @property
  def latest(self) -> int | None:
    """The newest step."""
    return max(self.steps(), default=None)

  @property
  def good(self) -> int | None:
    """The newest step called good."""
    return max(self.marks.good.intersection(self.steps()), default=None)

  def ranked(self) -> list[int]:
    """Returns the steps with a finite metric, best first."""
    return self._keep.ranked(self._scores(self.steps()))

  def record(self, step: int) -> Record:
    """Returns the record of a step.

    Raises:
      UserError: if there is no such step, or its record cannot be read.
    """
    if step not in self.steps():
      raise UserError(
        f"no checkpoint of step {step} in {self.path}; there are"
        f" {self.steps() or 'none'}."
      )
    record = self.store.records.get(step)
    if record is None:
      raise self.damaged(step, "its record cannot be read")
    return record

  def fitting(self, step: int, described: Mapping[str, str]) -> Record:
    """Returns the record of a step that is intact and of this structure.

    Args:
      step: one of `steps()`.
      described: `leaves.describe` of the state it should fit.

    Raises:
      UserError: if it is damaged, or another state's.
    """
    record = self.record(step)
    problems = self.store.problems(step)
    # All processes must go the same way; the files are shared.
    if hosts.agreed(bool(problems)):
      raise self.damaged(step, "; ".join(problems[:3]))
    rows = leaves.difference(record.leaves, described)
    if rows:
      raise UserError(
        f"checkpoint {step} in {self.path} does not fit this state, {rows}\n"
        "Build the state with the model, the labels and the optimizer of that"
        " run (see its run.json), or use another folder."
      )
    return record

  def damaged(self, step: int, reason: str) -> DamagedCheckpointError:
    """Returns the error that says so."""
    path = self.path / str(step)
    return DamagedCheckpointError(
      f"checkpoint {step} is damaged: {reason} (delete {path}, or go back to"
      f" another of {self.steps()})"
    )

  def is_repeat(self, record: Record) -> bool:
    """Returns whether this is what the newest checkpoint holds already.

    Raises:
      UserError: if it is older than the newest, and something else.
    """
    latest = self.latest
    if latest is None or record.step > latest:
      return False
    old = self.store.records.get(latest)
    if old and record.repeats(old):
      return True
    raise UserError(
      f"cannot save step {record.step} (attempt {record.attempt}):"
      f" {self.path} holds step {latest} already. Begin with"
      " restore_or(state), go back with rollback_to(step, state), or use"
      " another folder."
    )

  def attempt_after(self, attempt: int) -> int:
    """Returns an attempt that was never used, above this one."""
    records = filter(None, self.store.records.values())
    used = max((record.attempt for record in records), default=0)
    return 1 + max(used, attempt, self.marks.attempt)

  def delete_after(self, step: int, attempt: int | None = None) -> None:
    """Deletes the later steps, newest first: all, or those of an old attempt.

    Args:
      step: the newest that stays.
      attempt: only steps of an attempt before this one.
    """
    for later in reversed(self.steps()):
      record = self.store.records.get(later)
      old = attempt is None or (record and record.attempt < attempt)
      if later > step and old:
        self.store.delete(later)

  def _kept(self, steps: Sequence[int]) -> set[int]:
    return self._keep.kept(self._scores(steps), self.marks.good)

  def _scores(self, steps: Sequence[int]) -> dict[int, float | None]:
    records = {step: self.store.records.get(step) for step in steps}
    return {
      step: record.metrics.get(self._best) if record else None
      for step, record in records.items()
    }
