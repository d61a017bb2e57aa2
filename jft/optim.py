"""Optimizers by label: one optax transform for each label of the params tree.

`optax.masked` alone lets the raw gradients of masked-out leaves through to the
update; here the frozen leaves' updates are set to zero first, so neither the
clip nor the update ever sees them, whichever tree the caller passes.
"""

import optax

from jft import rules as rule_engine
from jft import tree
from jft.errors import UserError, did_you_mean
from jft.tuning.freeze import FREEZE
from jft.typing import Callable, Mapping, Params, Rules

NO_DECAY = ((r"(.*/)?(bias|scale)", False), (".*", True))
"""The usual weight-decay rules: not on biases nor on normalisation scales."""


def by_label(
  transforms: Mapping[str, optax.GradientTransformation],
  labels: Params,
  *,
  clip_norm: float | None = None,
  clip: optax.GradientTransformation | None = None,
  penalty: optax.GradientTransformation | None = None,
  active: frozenset[str] | None = None,
) -> optax.GradientTransformation:
  """Optimizes each label's leaves with its own transform.

  Works on the full params tree and on any part of it, such as the trainable
  half in `TrainState.params`. The state has the same structure whatever is
  `active`, so one state serves all phases of an unfreezing schedule.

  Args:
    transforms: {label: optimizer}; "freeze" needs none.
    labels: the tree that `freeze.label` returned for the full params.
    clip_norm: clips the global norm over all trained leaves together.
    clip: another way to clip, such as `clip_value` or `clip_adaptive`.
    penalty: what is added to the gradients before they are clipped, such as
      `jft.tuning.penalties.l2_sp`; it sees all trained leaves.
    active: labels that move; the others' leaves and moments rest. None: all.

  Returns:
    A transform whose state holds moments for the trained leaves only.

  Raises:
    UserError: for a label without a transform or a transform without a label.
  """
  flat = tree.flatten(labels)
  used = set(flat.values()) - {FREEZE}
  _check_labels(set(transforms) - {FREEZE}, used, active)
  idle = {FREEZE} if active is None else {FREEZE, *(used - active)}

  def labels_of(part: Params) -> Params:
    return tree.map_with_names(lambda name, _: flat[name], part)

  moved = {
    value: optax.set_to_zero() if value in idle else optax.identity()
    for value in {*used, FREEZE}
  }
  inner = {
    value: _rest(transforms[value]) if value in idle else transforms[value]
    for value in used
  }
  inner[FREEZE] = optax.set_to_zero()
  clips = [] if clip is None else [clip]
  if clip_norm is not None:
    clips.append(_clip(clip_norm))
  return optax.chain(
    # What rests is set to zero behind the penalty, which would move it.
    *([] if penalty is None else [penalty]),
    optax.multi_transform(moved, labels_of),
    *(clips or [optax.identity()]),
    optax.multi_transform(inner, labels_of),
  )


def clip_value(largest: float) -> optax.GradientTransformation:
  """Cuts every value of the gradients at `largest`, either way."""
  if largest <= 0:
    raise UserError(f"clip_value({largest}): it must be above 0.")
  return optax.clip(largest)


def clip_adaptive(ratio: float) -> optax.GradientTransformation:
  """Clips each unit's gradient to `ratio` times its weights' norm.

  The head's gradients are left as they are, as the paper has it.

  Args:
    ratio: such as 0.01.

  Source: Brock et al., 2021, "High-Performance Large-Scale Image Recognition
    Without Normalization" (arXiv:2102.06171), equation 3.
  """
  if ratio <= 0:
    raise UserError(f"clip_adaptive({ratio}): it must be above 0.")

  def backbone(params: Params) -> Params:
    return tree.map_with_names(
      lambda name, leaf: not name.startswith("head/"), params
    )

  return optax.masked(optax.adaptive_grad_clip(ratio), backbone)


def decay_mask(rules: Rules = NO_DECAY) -> Callable[[Params], Params]:
  """Returns the `mask` argument of optax's decayed optimizers, by rules.

  Args:
    rules: ordered (regex, bool): is this leaf decayed?

  >>> decay_mask()({"head": {"bias": 0, "kernel": 0}})
  {'head': {'bias': False, 'kernel': True}}
  """

  def mask(params: Params) -> Params:
    return tree.map_with_names(
      lambda name, _: rule_engine.first(rules, name), params
    )

  return mask


def scaled(schedule: optax.Schedule | float, factor: float) -> optax.Schedule:
  """Returns the schedule times `factor`: a label's share of the main rate.

  >>> float(scaled(0.1, 0.5)(7))
  0.05
  """
  if callable(schedule):
    return lambda count: schedule(count) * factor
  return lambda count: schedule * factor


def _rest(
  transform: optax.GradientTransformation,
) -> optax.GradientTransformation:
  """Keeps the transform's state as it is and moves nothing."""

  def update(updates, state, params=None):
    return optax.tree.zeros_like(updates), state

  return optax.GradientTransformation(transform.init, update)


def _clip(clip_norm: float) -> optax.GradientTransformation:
  if clip_norm <= 0:
    raise UserError(f"clip_norm must be above 0 or None, got {clip_norm}.")
  return optax.clip_by_global_norm(clip_norm)


def _check_labels(
  given: set[str], used: set[str], active: frozenset[str] | None
) -> None:
  for name, known, what in [
    *((name, given, "has no transform") for name in sorted(used - given)),
    *((name, used, "labels no leaf") for name in sorted(given - used)),
    *(
      (name, used, "is active but unused") for name in (active or set()) - used
    ),
  ]:
    raise UserError(
      f"label {name!r} {what}; the others are {sorted(known)}."
      + did_you_mean(name, known)
    )
