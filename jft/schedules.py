"""Learning-rate schedules: step -> learning rate, all with a linear warmup.

The shapes are optax's; this file gives them one signature, so that a config
can name one, and checks their arguments before anything is compiled.
"""

import optax

from jft.errors import UserError
from jft.typing import Mapping, Sequence


def warmup(
  schedule: optax.Schedule, peak: float, warmup_steps: int
) -> optax.Schedule:
  """Puts a linear rise from 0 to `peak` before `schedule`.

  >>> [float(warmup(constant(1.0), 1.0, 4)(s)) for s in (0, 2, 4, 9)]
  [0.0, 0.5, 1.0, 1.0]
  """
  if not warmup_steps:
    return schedule
  rise = optax.linear_schedule(0.0, peak, warmup_steps)
  return optax.join_schedules([rise, schedule], [warmup_steps])


def constant(lr: float, *, warmup_steps: int = 0) -> optax.Schedule:
  """Returns `lr` at every step after the warmup."""
  return warmup(optax.constant_schedule(lr), lr, warmup_steps)


def linear(
  lr: float, *, total_steps: int, warmup_steps: int = 0, final: float = 0.0
) -> optax.Schedule:
  """Falls in a straight line from `lr` to `final * lr` at `total_steps`."""
  fall = _decay_steps(total_steps, warmup_steps)
  return warmup(optax.linear_schedule(lr, final * lr, fall), lr, warmup_steps)


def cosine(
  lr: float, *, total_steps: int, warmup_steps: int = 0, final: float = 0.0
) -> optax.Schedule:
  """Half a cosine from `lr` to `final * lr` at `total_steps`.

  Source: Loshchilov and Hutter, 2017, "SGDR" (arXiv:1608.03983).
  """
  fall = _decay_steps(total_steps, warmup_steps)
  curve = optax.cosine_decay_schedule(lr, fall, alpha=final)
  return warmup(curve, lr, warmup_steps)


def polynomial(
  lr: float,
  *,
  total_steps: int,
  warmup_steps: int = 0,
  final: float = 0.0,
  power: float = 2.0,
) -> optax.Schedule:
  """Falls as (1 - t) ** `power` from `lr` to `final * lr`."""
  fall = _decay_steps(total_steps, warmup_steps)
  curve = optax.polynomial_schedule(lr, final * lr, power, fall)
  return warmup(curve, lr, warmup_steps)


def step(
  lr: float,
  *,
  boundaries: Sequence[int],
  factor: float = 0.1,
  warmup_steps: int = 0,
) -> optax.Schedule:
  """Multiplies `lr` by `factor` at each of the `boundaries` (in steps).

  >>> [round(float(step(1.0, boundaries=[5, 8])(s)), 4) for s in (0, 5, 8)]
  [1.0, 0.1, 0.01]
  """
  drops: Mapping[int, float] = {at - warmup_steps: factor for at in boundaries}
  if any(at <= 0 for at in drops) or list(boundaries) != sorted(boundaries):
    raise UserError(
      f"step schedule: boundaries {list(boundaries)} must increase and lie"
      f" after the {warmup_steps} warmup steps."
    )
  curve = optax.piecewise_constant_schedule(lr, dict(drops))
  return warmup(curve, lr, warmup_steps)


def _decay_steps(total_steps: int, warmup_steps: int) -> int:
  if not 0 <= warmup_steps < total_steps:
    raise UserError(
      f"warmup_steps={warmup_steps} must be at least 0 and below"
      f" total_steps={total_steps}; train longer or warm up less."
    )
  return total_steps - warmup_steps
