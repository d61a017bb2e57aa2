"""Config -> what is trained, when, at which rate."""

import dataclasses
import functools

import numpy as np
import optax

from jft import optim, schedules, tree
from jft.errors import UserError
from jft.tuning import freeze
from jft.tuning.adapters.method import ADAPTERS
from jft.tuning.freeze import ADAPTER, ADAPTER_B, FREEZE, HEAD
from jft.tuning.unfreeze import Phase, phase_at
from jft.typing import Any, Mapping, Params


@dataclasses.dataclass(frozen=True)
class Tuning:
  """What is trained, when, by which optimizer.

  Attributes:
    labels: a label for every leaf.
    phases: which labels are active from which step on.
    rates: {label: schedule}, counted from the label's first active step.
    transforms: {label: optimizer}.
    clip_norm: of the global gradient norm, or None.
  """

  labels: Params
  phases: tuple[Phase, ...]
  rates: Mapping[str, optax.Schedule]
  transforms: Mapping[str, optax.GradientTransformation]
  clip_norm: float | None

  def tx(self, phase: int) -> optax.GradientTransformation:
    """The optimizer of one phase; all phases share one state."""
    return optim.by_label(
      self.transforms,
      self.labels,
      clip_norm=self.clip_norm,
      active=self.phases[phase].labels,
    )

  def lr_at(self, step: int) -> dict[str, float]:
    """{"lr/LABEL": rate} of the update after `step` completed ones."""
    active = self.phases[phase_at(self.phases, step)].labels
    return {
      f"lr/{label}": float(np.asarray(rate(step - _start(self.phases, label))))
      if label in active
      else 0.0
      for label, rate in self.rates.items()
    }


def make_tuning(config: Any, params: Params, total_steps: int) -> Tuning:
  """Builds the labels, phases and optimizers of a config."""
  labels = freeze.label(params, _rules(config, params))
  _check_adapter(labels)
  trained = sorted(set(tree.flatten(labels).values()) - {FREEZE})
  phases = _phases(config.tune, trained, total_steps)
  rates = {
    label: _schedule(
      config.optim,
      label,
      _share(config, label),
      total_steps - _start(phases, label),
    )
    for label in trained
  }
  return Tuning(
    labels,
    phases,
    rates,
    {label: _optimizer(config.optim, rate) for label, rate in rates.items()},
    config.optim.clip_norm or None,
  )


def _rules(config: Any, params: Params):
  tune = config.tune
  presets = {
    "full": functools.partial(
      freeze.adapter,
      # The head of a language model is no new one.
      head=config.task.name != "causal_lm",
      apart=config.adapter.lora_plus_ratio != 1,
    )
    if config.adapter.name
    else freeze.full,
    "linear_probe": freeze.linear_probe,
    "top_blocks": functools.partial(freeze.top_blocks, n=tune.blocks),
    "norm_only": freeze.norm_only,
    "bias_only": freeze.bias_only,
  }
  return presets[tune.preset](params) if tune.preset else tune.rules


def _check_adapter(labels: Params) -> None:
  adapter = tree.flatten(labels.get(ADAPTERS, {})).values()
  if adapter and {*adapter} == {FREEZE}:
    raise UserError(
      "tune.rules freeze the whole adapter; give it a label, such as"
      " ('adapters/.*', 'adapter'), or set adapter.name=''."
    )


def _phases(
  tune: Any, trained: list[str], total_steps: int
) -> tuple[Phase, ...]:
  everything = frozenset(trained)
  start = round(tune.head_first * total_steps)
  if not start:
    return (Phase(0, everything),)
  if HEAD not in everything or len(everything) == 1:
    raise UserError(
      f"tune.head_first={tune.head_first} needs the label {HEAD!r} and another"
      f" one to follow, got {trained}."
    )
  if start == total_steps:
    raise UserError(
      f"tune.head_first={tune.head_first} leaves none of the {total_steps}"
      " steps to the rest; lower it."
    )
  return Phase(0, frozenset({HEAD})), Phase(start, everything)


def _start(phases: tuple[Phase, ...], label: str) -> int:
  return min(p.start_step for p in phases if label in p.labels)


def _share(config: Any, label: str) -> float:
  """Returns a label's share of `optim.lr`."""
  shares = {
    HEAD: 1.0,
    ADAPTER: 1.0,
    ADAPTER_B: config.adapter.lora_plus_ratio,
  }
  return shares.get(label, config.optim.backbone_lr_scale)


def _schedule(
  optim_config: Any, label: str, share: float, steps: int
) -> optax.Schedule:
  c = optim_config
  if c.warmup_steps >= steps:
    raise UserError(
      f"optim.warmup_steps={c.warmup_steps} must be below the {steps} steps"
      f" that {label!r} is trained; train longer or warm up less."
    )
  peak = c.lr * share
  common = {"warmup_steps": c.warmup_steps}
  if c.schedule == "constant":
    return schedules.constant(peak, **common)
  if c.schedule == "step":
    at = [round(share * steps) for share in c.step_boundaries]
    return schedules.step(peak, boundaries=at, **common)
  common |= {"total_steps": steps, "final": c.final_lr}
  if c.schedule == "polynomial":
    return schedules.polynomial(peak, power=c.power, **common)
  shape = {"linear": schedules.linear, "cosine": schedules.cosine}[c.schedule]
  return shape(peak, **common)


def _optimizer(c: Any, rate: optax.Schedule) -> optax.GradientTransformation:
  decay = {"weight_decay": c.weight_decay, "mask": optim.decay_mask()}
  adam = {"b1": c.b1, "b2": c.b2, "eps": c.eps}
  if c.name == "adamw":
    return optax.adamw(rate, **adam, **decay)
  if c.name == "lamb":
    return optax.lamb(rate, **adam, **decay)
  if c.name == "adam":
    return optax.adam(rate, **adam)
  return optax.sgd(rate, momentum=c.momentum or None, nesterov=True)
