"""Config -> what is trained, when, at which rate."""

import dataclasses
import functools

import numpy as np
import optax

from jft import distill, optim, schedules, tree
from jft.build.optimizers import make_clip, make_optimizer, make_penalty
from jft.build.phases import make_phases
from jft.errors import UserError
from jft.tuning import lr_scales, unfreeze
from jft.tuning.freeze import ADAPTER, ADAPTER_B, FREEZE, HEAD
from jft.tuning.unfreeze import Phase, phase_at
from jft.typing import Any, Callable, Mapping, Params, Sequence


@dataclasses.dataclass(frozen=True)
class Tuning:
  """What is trained, when, by which optimizer.

  Attributes:
    labels: a label for every leaf.
    phases: which labels are active from which step on.
    peaks: {label: the highest rate of its schedule}.
    rates: {label: schedule}, counted from the label's first active step; as if
      from the beginning where that is not known yet.
    transforms: {label: optimizer}.
    clip_norm: of the global gradient norm, or None; clip: another way.
    penalty: what is added to the gradients, or None.
    shares: {leaf: its share of its label's rate}, where they differ.
    phase_scales: the factor on all rates in each phase.
    batch_norm: the policy, as `jft.step.Hooks` has it.
    assemble: phases -> the same with those.
  """

  labels: Params
  phases: tuple[Phase, ...]
  peaks: Mapping[str, float]
  rates: Mapping[str, optax.Schedule]
  transforms: Mapping[str, optax.GradientTransformation]
  clip_norm: float | None
  clip: optax.GradientTransformation | None
  penalty: optax.GradientTransformation | None
  shares: Mapping[str, float]
  phase_scales: tuple[float, ...]
  batch_norm: str
  assemble: Callable[[tuple[Phase, ...]], "Tuning"]

  def tx(self, phase: int) -> optax.GradientTransformation:
    """The optimizer of one phase; all phases share one state."""
    tx = optim.by_label(
      self.transforms,
      self.labels,
      clip_norm=self.clip_norm,
      clip=self.clip,
      penalty=self.penalty,
      active=self.phases[phase].labels,
    )
    if not self.shares and set(self.phase_scales) == {1.0}:
      return tx
    factor = self.phase_scales[phase]
    return optax.chain(tx, lr_scales.scale_by_name(self.shares, factor))

  @property
  def waiting(self) -> int:
    """How many phases, the last ones, wait for a plateau."""
    return sum(phase.start_step is None for phase in self.phases)

  def begun(self, starts: Sequence[int]) -> "Tuning":
    """The same with the starts of phases that waited for a plateau."""
    return self.assemble(unfreeze.begun(self.phases, starts))

  def lr_at(self, step: int) -> dict[str, float]:
    """{"lr/LABEL": rate} of the update after `step` completed ones."""
    phase = phase_at(self.phases, step)
    active, factor = self.phases[phase].labels, self.phase_scales[phase]
    return {
      f"lr/{label}": factor
      * float(np.asarray(rate(step - _start(self.phases, label))))
      if label in active
      else 0.0
      for label, rate in self.rates.items()
    }

  @property
  def rate_spans(self) -> dict[str, tuple[float, float]]:
    """{label: (lowest, highest) peak rate of its leaves}; no phase's factor."""
    shares: dict[str, list[float]] = {}
    for name, label in tree.flatten(self.labels).items():
      if label != FREEZE:
        shares.setdefault(label, []).append(self.shares.get(name, 1.0))
    return {
      label: (self.peaks[label] * min(found), self.peaks[label] * max(found))
      for label, found in sorted(shares.items())
    }


def make_tuning(
  config: Any,
  params: Params,
  total_steps: int,
  *,
  steps_per_epoch: float = 1.0,
  chosen: Sequence[str] = (),
) -> Tuning:
  """Builds the labels, phases and optimizers of a config.

  Args:
    config: of the run.
    params: of the network; shapes will do.
    total_steps: of the run.
    steps_per_epoch: updates in an epoch.
    chosen: the parts that `tune.preset="surgical"` has chosen.

  Raises:
    UserError: for what does not fit the model or the length of the run.
  """
  labels, phases = make_phases(
    config, params, total_steps, steps_per_epoch, chosen
  )
  shares = _shares(config.optim, labels)
  return _assemble(config, labels, shares, total_steps, phases)


def _assemble(
  config: Any,
  labels: Params,
  shares: Mapping[str, float],
  total_steps: int,
  phases: tuple[Phase, ...],
) -> Tuning:
  trained = sorted(set(tree.flatten(labels).values()) - {FREEZE})
  peaks = {label: _peak(config, label) for label in trained}
  rates = {
    label: _schedule(
      config.optim, label, peaks[label], total_steps - _start(phases, label)
    )
    for label in trained
  }
  return Tuning(
    labels,
    phases,
    peaks,
    rates,
    {label: make_optimizer(config.optim, r) for label, r in rates.items()},
    config.optim.clip_norm or None,
    make_clip(config.optim),
    make_penalty(config.regularise),
    shares,
    _phase_scales(config.optim, len(phases)),
    # What is recalibrated is trained as ever.
    "auto"
    if config.tune.batch_norm == "recalibrate"
    else config.tune.batch_norm,
    functools.partial(_assemble, config, labels, shares, total_steps),
  )


def _shares(optim_config: Any, labels: Params) -> dict[str, float]:
  c = optim_config
  flat = tree.flatten(labels)
  trained = [name for name, label in flat.items() if label != FREEZE]
  if c.layer_decay == 1 and not c.lr_rules:
    return {}
  own = tree.flatten(distill.student(labels))  # not the teacher's depth
  decay = dict.fromkeys(flat, 1.0) | lr_scales.layer_decay(own, c.layer_decay)
  rules = lr_scales.by_rules(trained, c.lr_rules or ((".*", 1.0),))
  return lr_scales.times({name: decay[name] for name in trained}, rules)


def _phase_scales(optim_config: Any, phases: int) -> tuple[float, ...]:
  scales = tuple(optim_config.phase_lr_scales) or (1.0,) * phases
  if len(scales) != phases:
    raise UserError(
      f"optim.phase_lr_scales={scales} must hold a factor for each of the"
      f" {phases} phases that this config has."
    )
  return scales


def _start(phases: tuple[Phase, ...], label: str) -> int:
  """The label's first active step; 0 where a plateau decides."""
  return next(p.start_step or 0 for p in phases if label in p.labels)


def _peak(config: Any, label: str) -> float:
  shares = {
    HEAD: 1.0,
    ADAPTER: 1.0,
    ADAPTER_B: config.adapter.lora_plus_ratio,
  }
  return config.optim.lr * shares.get(label, config.optim.backbone_lr_scale)


def _schedule(
  optim_config: Any, label: str, peak: float, steps: int
) -> optax.Schedule:
  c = optim_config
  if c.warmup_steps >= steps:
    raise UserError(
      f"optim.warmup_steps={c.warmup_steps} must be below the {steps} steps"
      f" that {label!r} is trained; train longer or warm up less."
    )
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
