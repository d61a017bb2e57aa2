"""Which checkpoints stay: the newest, the best, and the last good one."""

import dataclasses
import math
from collections.abc import Iterable, Mapping

from jft.errors import UserError


@dataclasses.dataclass(frozen=True)
class Keep:
  """How many of the newest and of the best steps stay.

  Attributes:
    last: how many of the newest, at least 1.
    best: how many of the best.
    mode: "max" or "min", whichever metric is better.

  Raises:
    UserError: for a value out of range.
  """

  last: int = 1
  best: int = 1
  mode: str = "max"

  def __post_init__(self):
    if self.mode not in ("max", "min"):
      raise UserError(f'mode must be "max" or "min", got {self.mode!r}.')
    if self.last < 1:
      raise UserError(f"keep_last must be at least 1, got {self.last}.")
    if self.best < 0:
      raise UserError(f"keep_best must be at least 0, got {self.best}.")

  def ranked(self, scores: Mapping[int, float | None]) -> list[int]:
    """Returns the steps with a finite score, best first, ties oldest first.

    >>> Keep().ranked({10: 0.5, 20: 0.7, 30: 0.7, 40: float("nan"), 50: None})
    [20, 30, 10]
    """
    sign = -1 if self.mode == "max" else 1
    finite = [
      (sign * score, step)
      for step, score in scores.items()
      if score is not None and math.isfinite(score)
    ]
    return [step for _, step in sorted(finite)]

  def kept(
    self, scores: Mapping[int, float | None], good: Iterable[int]
  ) -> set[int]:
    """Returns the steps that stay.

    Args:
      scores: {step: metric, or None} of every step there is.
      good: the steps whose numbers are known to be finite.

    >>> sorted(Keep().kept({1: 0.9, 2: 0.1, 3: 0.2, 4: 0.3}, good=[1, 2]))
    [1, 2, 4]
    """
    newest = sorted(scores)[-self.last :]
    best = self.ranked(scores)[: self.best]
    last_good = sorted(set(good).intersection(scores))[-1:]
    return {*newest, *best, *last_good}
