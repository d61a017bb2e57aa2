"""Contradictions of an adapter, found before anything is loaded."""

import math

from jft import config as configs
from jft.build.adapter import NAMES
from jft.build.side import check_side
from jft.errors import UserError, did_you_mean
from jft.tuning.adapters import targets
from jft.typing import Any

# Presets of `tune` that an adapter leaves a meaning.
_BESIDE = ("", "full")


def check_adapter(config: Any) -> None:
  """Raises UserError naming the first key that cannot be meant."""
  adapter, tune = config.adapter, config.tune
  if not adapter.name:
    return
  _choice("name", adapter.name, NAMES)
  check_side(config, configs.default().adapter)
  _check_targets(adapter)
  if not (0 < adapter.alpha < math.inf and adapter.rank >= 1):
    raise UserError(
      f"adapter.rank={adapter.rank} and adapter.alpha={adapter.alpha} must be"
      " above 0 and finite."
    )
  if not 0 <= adapter.dropout < 1:
    raise UserError(f"adapter.dropout={adapter.dropout} is a share, in [0, 1).")
  if not 0 < adapter.lora_plus_ratio < math.inf:
    raise UserError(
      f"adapter.lora_plus_ratio={adapter.lora_plus_ratio} must be above 0."
    )
  if tune.preset not in _BESIDE:
    raise UserError(
      f"tune.preset={tune.preset!r} contradicts adapter.name={adapter.name!r}:"
      " beside an adapter the head is trained (tune.preset='full'),"
      " or what tune.rules say."
    )
  if tune.preset and tune.unfreeze:
    raise UserError(
      f"tune.unfreeze={tune.unfreeze!r} contradicts adapter.name="
      f"{adapter.name!r}: the blocks beside an adapter stay frozen"
      " (tune.head_first trains the head alone before it)."
    )


def _check_targets(adapter: Any) -> None:
  if bool(adapter.targets) == bool(adapter.rules):
    raise UserError(
      f"adapter.targets={adapter.targets!r}, adapter.rules={adapter.rules!r}:"
      " give exactly one; rules need adapter.targets=''."
    )
  if adapter.targets:
    _choice("targets", adapter.targets, tuple(targets.PRESETS))
  for rule in adapter.rules:
    if not _is_rule(rule):
      raise UserError(
        f"adapter.rules holds {rule!r}: expected ((regex, rank), ...) or"
        " (regex, rank, alpha), such as (('.*/attention/query/kernel', 8),)."
      )


def _is_rule(rule: Any) -> bool:
  return (
    isinstance(rule, tuple | list)
    and len(rule) in (2, 3)
    and isinstance(rule[0], str)
    and type(rule[1]) is int
    and rule[1] >= 0
    and all(type(x) in (int, float) and 0 < x < math.inf for x in rule[2:])
  )


def _choice(key: str, value: str, known: tuple[str, ...]) -> None:
  if value not in known:
    raise UserError(
      f"adapter.{key}={value!r}: choose one of {', '.join(known)}."
      + did_you_mean(value, known)
    )
