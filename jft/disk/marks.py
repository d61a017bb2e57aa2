"""What is learnt about checkpoints after they were written, in one small file.

A checkpoint itself is never written to again.
"""

import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jft import atomic, hosts

FILE = "marks.json"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rollback:
  """The newest roll-back, until a step is saved after it.

  Attributes:
    step: where the run went back to.
    attempt: what it goes on as.
    extra: the host's side of the run as it goes on; see `Checkpointer.save`.
  """

  step: int
  attempt: int
  extra: Mapping[str, Any]


class Marks:
  """The steps called good, the highest attempt, and the newest roll-back.

  A file that is damaged counts as none, with a warning: the marks only say
  more about checkpoints that speak for themselves.

  Args:
    directory: where `marks.json` lies, a `pathlib.Path` or an `epath.Path`.
    read_only: never write.
  """

  def __init__(self, directory: Any, *, read_only: bool = False):
    self._path = directory / FILE
    self._writes = not read_only
    self.good: set[int] = set()
    self.attempt = 0
    self.rollback: Rollback | None = None
    if self._path.exists():
      try:
        self._read(json.loads(self._path.read_text()))
      except (
        ArithmeticError,  # Infinity is no step
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
      ):
        _log.warning("%s is damaged; going on without it", self._path)

  def add_good(self, step: int, existing: Iterable[int]) -> None:
    """Calls a step good, and forgets the steps that are gone."""
    self.good = {step, *self.good.intersection(existing)}
    self._write()

  def forget(self, step: int) -> None:
    """Takes a mark back, if there is one."""
    if step in self.good:
      self.good.discard(step)
      self._write()

  def roll_back(
    self, step: int, attempt: int, extra: Mapping[str, Any]
  ) -> None:
    """Forgets all later steps and remembers how the run goes on."""
    self.good = {good for good in self.good if good <= step}
    self.attempt = attempt
    self.rollback = Rollback(step, attempt, extra)
    self._write()

  def _read(self, saved: Mapping[str, Any]) -> None:
    good, attempt = {int(step) for step in saved["good"]}, int(saved["attempt"])
    back = saved.get("rollback")
    if back is not None:
      back = Rollback(
        int(back["step"]), int(back["attempt"]), dict(back["extra"])
      )
    self.good, self.attempt, self.rollback = good, attempt, back

  def _write(self) -> None:
    if not (hosts.is_primary() and self._writes):
      return
    marks: dict[str, Any] = {"good": sorted(self.good), "attempt": self.attempt}
    if back := self.rollback:
      marks["rollback"] = {
        "step": back.step,
        "attempt": back.attempt,
        "extra": dict(back.extra),
      }
    text = json.dumps(marks)
    if "://" in os.fspath(self._path):
      self._path.write_text(text)  # an object store puts whole objects
    else:
      atomic.write_bytes(self._path, text.encode())
