"""The divergence guard: tells a broken run from a noisy one.

A pure function of the losses seen so far, so that a replay decides the same.
"""

import dataclasses
import math

import numpy as np

from jft.typing import Sequence


@dataclasses.dataclass(frozen=True)
class Guard:
  """When a loss counts as diverged.

  Attributes:
    window: how many good losses before it a loss is compared with.
    threshold: robust z-score, (loss - median) / (1.4826 * MAD), from which a
      loss is a spike.
    min_history: fewer good losses than this: only NaN and inf are caught.
    min_rise: a spike is also at least this much above the median, relative to
      it, so that a loss that has gone flat does not trip over noise.
    min_level: it rises by at least this share of the loss training began with:
      one odd example among what is learnt by heart is no divergence.
    lasting: spikes in a row that are a divergence; fewer are odd batches, which
      heavy-tailed losses have whatever their median.
  """

  window: int = 100
  threshold: float = 20.0
  min_history: int = 20
  min_rise: float = 1.0
  min_level: float = 0.5
  lasting: int = 5


@dataclasses.dataclass(frozen=True)
class Incident:
  """The first bad step: which update, why, and its numbers.

  Attributes:
    step: the update.
    reason: "not finite", "spike" or "state not finite".
    loss, grad_norm: of that update.
    median: of the good losses before it, None without any.
    leaf: the first leaf that was not finite: its name, or its index in
      `blame.names`; None where the loss alone is bad.
    ids: of the examples of that update.
  """

  step: int
  reason: str
  loss: float
  grad_norm: float
  median: float | None
  leaf: str | int | None = None
  ids: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Verdict:
  """What the guard says of some updates.

  Attributes:
    incident: the first bad one, if there is one.
    good: losses that later ones are compared with, oldest first.
    suspects: spikes at the end, which the next losses may make a divergence;
      judge them again, before those.
  """

  incident: Incident | None = None
  good: tuple[float, ...] = ()
  suspects: tuple[Incident, ...] = ()


def judge(
  guard: Guard,
  history: Sequence[float],
  steps: Sequence[tuple[int, float, float]],
  level: float | None = None,
) -> Verdict:
  """Looks for the first diverged step.

  Args:
    guard: the thresholds.
    history: good losses before these steps, oldest first.
    steps: (step, loss, grad_norm) in order.
    level: of the losses that training began with, by `level_of`; None if the
      history begins with them.

  >>> judge(Guard(), [], [(1, 0.5, 1.0), (2, float("nan"), 1.0)]).incident.step
  2
  >>> jump = [(step, 9.0, 1.0) for step in range(21, 26)]
  >>> judge(Guard(), [1.0, 1.1] * 10, jump).incident.step
  21
  >>> len(judge(Guard(), [1.0, 1.1] * 10, jump[:4]).suspects)
  4
  """
  seen, suspects = list(history), []
  for step, loss, grad_norm in steps:
    recent = np.asarray(seen[-guard.window :])
    median = float(np.median(recent)) if recent.size else None
    if not (math.isfinite(loss) and math.isfinite(grad_norm)):
      return Verdict(Incident(step, "not finite", loss, grad_norm, median))
    began = level if level is not None else level_of(guard, seen)
    if _is_spike(guard, recent, loss, began):
      suspects.append(Incident(step, "spike", loss, grad_norm, median))
      if len(suspects) == guard.lasting:
        return Verdict(suspects[0])
    else:
      seen += [*(odd.loss for odd in suspects), loss]
      suspects = []
  return Verdict(None, tuple(seen[len(history) :]), tuple(suspects))


def level_of(guard: Guard, losses: Sequence[float]) -> float | None:
  """Returns the level of a training's first losses, None before there are any.

  Args:
    guard: says how many are needed.
    losses: good ones, from the first on.

  >>> level_of(Guard(min_history=3), [2.0, 3.0, 1.0, 0.1])
  2.0
  """
  if len(losses) < guard.min_history:
    return None
  return abs(float(np.median(losses[: guard.min_history])))


def _is_spike(
  guard: Guard, recent: np.ndarray, loss: float, level: float | None
) -> bool:
  if recent.size < guard.min_history or level is None:
    return False
  median = np.median(recent)
  spread = 1.4826 * np.median(np.abs(recent - median))
  rise = loss - median
  return bool(
    rise > guard.threshold * spread
    and rise > guard.min_rise * abs(median)
    and rise > guard.min_level * level
  )
