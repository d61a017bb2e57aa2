"""Unfreezing as a pure function of the step: which labels are active when.

The state's shape never changes: it holds every leaf that any phase trains, and
a leaf's optimizer moments rest until its label becomes active.
"""

import dataclasses

from jft.errors import UserError
from jft.typing import Sequence


@dataclasses.dataclass(frozen=True)
class Phase:
  """From `start_step` on, the leaves under these `labels` are trained."""

  start_step: int
  labels: frozenset[str]


def phase_at(phases: Sequence[Phase], step: int) -> int:
  """Returns the index of the phase that update number `step` belongs to.

  Args:
    phases: at least one; the first starts at 0, the starts increase.
    step: completed updates before this one.

  Raises:
    UserError: if the phases are not ordered or do not start at 0.

  >>> head = Phase(0, frozenset({"head"}))
  >>> both = Phase(10, frozenset({"head", "backbone"}))
  >>> [phase_at([head, both], step) for step in (0, 9, 10)]
  [0, 0, 1]
  """
  starts = [phase.start_step for phase in phases]
  if not starts or starts[0] != 0 or starts != sorted(set(starts)):
    raise UserError(
      f"phases must start at step 0 and increase, got starts {starts}."
    )
  return sum(start <= step for start in starts) - 1
