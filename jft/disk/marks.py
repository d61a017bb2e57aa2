"""What is learnt about checkpoints after they were written, in one small file.

A checkpoint itself is never written to again.
"""

import json
from collections.abc import Iterable
from typing import Any

from jft import hosts

FILE = "marks.json"


class Marks:
  """The steps called good, and the highest attempt a rollback gave out.

  Args:
    directory: where `marks.json` lies, a `pathlib.Path` or an `epath.Path`.
  """

  def __init__(self, directory: Any):
    self._path = directory / FILE
    self.good: set[int] = set()
    self.attempt = 0
    if self._path.exists():
      saved = json.loads(self._path.read_text())
      self.good, self.attempt = set(saved["good"]), saved["attempt"]

  def add_good(self, step: int, existing: Iterable[int]) -> None:
    """Calls a step good, and forgets the steps that are gone."""
    self.good = {step, *self.good.intersection(existing)}
    self._write()

  def forget(self, step: int) -> None:
    """Takes a mark back, if there is one."""
    if step in self.good:
      self.good.discard(step)
      self._write()

  def roll_back(self, step: int, attempt: int) -> None:
    """Forgets all later steps and remembers the attempt."""
    self.good = {good for good in self.good if good <= step}
    self.attempt = attempt
    self._write()

  def _write(self) -> None:
    if hosts.is_primary():
      new = self._path.with_name(f"{FILE}.tmp")
      marks = {"good": sorted(self.good), "attempt": self.attempt}
      new.write_text(json.dumps(marks))
      new.replace(self._path)
