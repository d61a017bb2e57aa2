"""Config -> optimizers, penalties, clipping and the average of the weights."""

import jax.numpy as jnp
import optax

from jft import optim, optimizers
from jft.optimizers import Settings
from jft.tuning import average, penalties
from jft.typing import Any, Rules


def make_optimizer(
  c: Any, rate: optax.Schedule
) -> optax.GradientTransformation:
  """Returns a label's optimizer.

  Args:
    c: the section "optim".
    rate: the label's learning rate.
  """
  return optimizers.make(c.name, rate, settings(c))


def settings(c: Any) -> Settings:
  """Returns what the section "optim" tells an optimizer."""
  return Settings(
    weight_decay=c.weight_decay,
    decays=optim.decay_mask(tuple(c.decay_rules) or optim.NO_DECAY),
    momentum=c.momentum,
    b1=c.b1,
    b2=c.b2,
    eps=c.eps,
    moments_dtype=jnp.dtype(c.moments_dtype) if c.moments_dtype else None,
  )


def make_penalty(c: Any) -> optax.GradientTransformation | None:
  """Returns what the section "regularise" adds to the gradients, or None."""
  given, made = tuple(c.rules), []
  kernels: Rules = given or optim.NO_DECAY
  if c.l1:
    made.append(penalties.l1(c.l1, kernels))
  if c.l2:
    made.append(penalties.l2(c.l2, kernels))
  if c.l2_sp or c.l2_sp_head:
    rules: Rules = given or ((".*", True),)
    made.append(penalties.l2_sp(c.l2_sp, c.l2_sp_head, rules))
  return optax.chain(*made) if made else None


def make_clip(c: Any) -> optax.GradientTransformation | None:
  """Returns how the section "optim" clips, where it is not by the norm."""
  if c.clip_value:
    return optim.clip_value(c.clip_value)
  return optim.clip_adaptive(c.clip_adaptive) if c.clip_adaptive else None


def make_average(config: Any, total_steps: int) -> average.Average | None:
  """Returns how the weights are averaged, None if they are not."""
  c = config.average
  if optimizers.NAMES[config.optim.name].schedule_free:
    return average.schedule_free()
  if c.name == "ema":
    return average.ema(c.decay, warmup=c.warmup)
  if c.name == "swa":
    return average.swa(round(c.start * total_steps), c.every_steps)
  return None
