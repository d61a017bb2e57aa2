"""Contradictions between an optimizer, its rates, penalties and averages."""

from jft import optimizers
from jft.build.check_tune import check_rules
from jft.build.optimizers import NUMBERS, OWN, make_optimizer
from jft.errors import UserError
from jft.typing import Any

_CLIPS = ("clip_norm", "clip_value", "clip_adaptive")


def check_optim(config: Any) -> None:
  """Raises UserError naming the first key that cannot be meant.

  Args:
    config: whose values are each of the right kind.
  """
  optim, average = config.optim, config.average
  check_rules("optim.decay_rules", optim.decay_rules, "decay", _is_bool)
  check_rules("regularise.rules", config.regularise.rules, "decay", _is_bool)
  _check_numbers(optim)
  _check_made(optim)
  _check_boundaries(optim)
  given = [f"optim.{key}={optim[key]}" for key in _CLIPS if optim[key]]
  if len(given) > 1:
    raise UserError(f"{' and '.join(given)}: clip in one way; set others to 0.")
  if config.regularise.l2 and optim.weight_decay:
    raise UserError(
      f"regularise.l2={config.regularise.l2} and optim.weight_decay="
      f"{optim.weight_decay} both shrink the weights; choose one of the two."
    )
  _check_penalties(config.regularise)
  if optimizers.NAMES[optim.name].schedule_free:
    _check_schedule_free(optim, average)


def _check_numbers(optim: Any) -> None:
  for key in NUMBERS:
    if not 0 <= (value := optim[key]) < 1 and value != OWN:
      raise UserError(
        f"optim.{key}={value} must be in [0, 1), or {OWN} for the optimizer's"
        " own."
      )


def _check_made(optim: Any) -> None:
  try:
    make_optimizer(optim, lambda count: 0.0)
  except UserError as error:
    raise UserError(f"optim.name={optim.name!r}: {error}") from error


def _check_boundaries(optim: Any) -> None:
  if not all(
    isinstance(share, float | int) and 0 < share < 1
    for share in optim.step_boundaries
  ):
    raise UserError(
      f"optim.step_boundaries={optim.step_boundaries} must be shares of the"
      " run, between 0 and 1."
    )


def _check_penalties(regularise: Any) -> None:
  keys = ("l1", "l2", "l2_sp", "l2_sp_head")
  if regularise.rules and not any(regularise[key] for key in keys):
    raise UserError(
      "regularise.rules choose the leaves of a penalty, and there is none; set"
      f" one of {', '.join(f'regularise.{key}' for key in keys)}."
    )


def _check_schedule_free(optim: Any, average: Any) -> None:
  if optim.schedule != "constant":
    raise UserError(
      f"optim.schedule={optim.schedule!r}: optim.name='schedule_free' takes a"
      " schedule's place; set optim.schedule='constant'."
    )
  if average.name:
    raise UserError(
      f"average.name={average.name!r}: optim.name='schedule_free' has an"
      " average of its own; leave it empty."
    )
  if not optim.b1:
    raise UserError("optim.b1=0: optim.name='schedule_free' needs it above 0.")


def _is_bool(value: Any) -> bool:
  return isinstance(value, bool)
