"""Early stopping: the best value so far and how long ago that was."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Best:
  """The best evaluation so far.

  Attributes:
    value: of the metric, None before the first finite one.
    step: where it was.
    since: evaluations after it that were no better.
  """

  value: float | None = None
  step: int = 0
  since: int = 0


def update(best: Best, value: float, step: int, mode: str) -> Best:
  """Returns the best after one more evaluation; ties keep the earlier step.

  Args:
    best: so far.
    value: the metric now; a value that is not finite is never the best.
    step: completed updates.
    mode: "max" or "min".

  >>> update(Best(0.9, 10), 0.8, 20, "max")
  Best(value=0.9, step=10, since=1)
  """
  sign = 1 if mode == "max" else -1
  better = best.value is None or sign * value > sign * best.value
  if math.isfinite(value) and better:
    return Best(value, step, 0)
  return dataclasses.replace(best, since=best.since + 1)
