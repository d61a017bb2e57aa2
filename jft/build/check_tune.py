"""Contradictions in what is trained, when, and at which rates."""

import math

from jft import optimizers
from jft.errors import UserError
from jft.typing import Any

_EVERY = ("unfreeze_every_steps", "unfreeze_every_epochs", "unfreeze_patience")


def check_tune(config: Any) -> None:
  """Raises UserError naming the first key of `tune` or `optim` that is wrong.

  Args:
    config: whose values are each of the right kind.
  """
  tune = config.tune
  _check_preset(tune)
  _check_head_first(tune)
  _check_unfreeze(tune, config.stop.patience)
  _check_rates(config.optim)


def check_rules(key: str, rules: Any, what: str, fits: Any) -> None:
  """Raises UserError unless these are ((regex, value), ...).

  Args:
    key: such as "tune.rules".
    rules: its value.
    what: the value is, for a person.
    fits: value -> may it stand there?
  """
  for rule in rules:
    if not (
      isinstance(rule, tuple | list)
      and len(rule) == 2
      and isinstance(rule[0], str)
      and fits(rule[1])
    ):
      example = {
        "label": ("'head'", "'freeze'"),
        "share": ("1.0", "0.1"),
        "decay": ("True", "False"),
      }[what]
      raise UserError(
        f"{key} holds {rule!r}: expected ((regex, {what}), ...), such as"
        f" (('head/.*', {example[0]}), ('.*', {example[1]}))."
      )


def _check_rates(optim: Any) -> None:
  if not 0 < optim.layer_decay <= 1:
    raise UserError(
      f"optim.layer_decay={optim.layer_decay} must be above 0 and at most 1,"
      " such as 0.75."
    )
  check_rules("optim.lr_rules", optim.lr_rules, "share", _is_share)
  scales = optim.phase_lr_scales
  if not all(map(_is_share, scales)):
    raise UserError(
      f"optim.phase_lr_scales={scales} must be factors above 0, one a phase,"
      " such as (1.0, 0.1)."
    )
  shared = optim.layer_decay != 1 or optim.lr_rules or scales
  if shared and optimizers.NAMES[optim.name].schedule_free:
    raise UserError(
      f"optim.name={optim.name!r} averages what its rate moves, so a share of"
      " an update is no share of the rate: leave optim.layer_decay=1 and"
      " optim.lr_rules and optim.phase_lr_scales empty, or take 'adamw'."
    )


def _is_share(value: Any) -> bool:
  return type(value) in (int, float) and 0 < value < math.inf


def _check_preset(tune: Any) -> None:
  if bool(tune.preset) == bool(tune.rules):
    raise UserError(
      f"tune.preset={tune.preset!r} and tune.rules={tune.rules!r}: give exactly"
      " one; rules need tune.preset=''."
    )
  if tune.blocks and tune.preset not in ("top_blocks", "surgical"):
    raise UserError(
      f"tune.blocks={tune.blocks} needs tune.preset='top_blocks', got"
      f" {tune.preset!r} (or 'surgical')."
    )
  if tune.preset == "surgical" and not tune.blocks:
    raise UserError(
      "tune.preset='surgical' needs to know how many parts to train: set"
      " tune.blocks=1 or more."
    )
  check_rules("tune.rules", tune.rules, "label", lambda x: isinstance(x, str))


def _check_head_first(tune: Any) -> None:
  if tune.head_first and tune.preset == "linear_probe":
    raise UserError(
      "tune.head_first: nothing joins the head under"
      " tune.preset='linear_probe'; set it to 0 or choose another preset."
    )
  if tune.unfreeze and (tune.head_first or tune.preset == "lp_ft"):
    raise UserError(
      f"tune.unfreeze={tune.unfreeze!r} begins with the head anyway: leave"
      " tune.head_first=0 and choose another preset than 'lp_ft'."
    )


def _check_unfreeze(tune: Any, stop_patience: int) -> None:
  given = [f"tune.{key}={tune[key]}" for key in _EVERY if tune[key]]
  if not tune.unfreeze:
    if given:
      raise UserError(f"{given[0]} needs tune.unfreeze='gradual'.")
    return
  if tune.preset == "linear_probe":
    raise UserError(
      f"tune.unfreeze={tune.unfreeze!r}: nothing joins the head under"
      " tune.preset='linear_probe'; choose another preset."
    )
  if len(given) != 1:
    raise UserError(
      f"tune.unfreeze={tune.unfreeze!r} thaws by steps, epochs or a plateau:"
      f" give exactly one of {', '.join(f'tune.{key}' for key in _EVERY)}"
      f" (got {', '.join(given) or 'none'})."
    )
  if 0 < stop_patience < tune.unfreeze_patience:
    raise UserError(
      f"stop.patience={stop_patience} ends the run before a plateau of"
      f" tune.unfreeze_patience={tune.unfreeze_patience} evaluations thaws"
      " anything; raise the first or lower the second."
    )
