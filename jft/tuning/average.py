"""Averages of the weights over the updates: what is evaluated in their place.

Each is a pure function (average, params, opt_state, completed updates) ->
average, for `Hooks.average`; `TrainState.average` starts as the first params.
BatchNorm's statistics stay those of the params: recalibrate them
(`tune.batch_norm`) where that matters.
"""

import jax
import jax.numpy as jnp
from optax import contrib

from jft import tree
from jft.errors import UserError
from jft.typing import Any, Array, Callable, Params

Average = Callable[[Params, Params, Any, Array], Params]


def ema(decay: float, *, warmup: bool = True) -> Average:
  """The exponential moving average of the weights.

  Args:
    decay: share of the average that an update keeps, such as 0.999.
    warmup: keep min(decay, (1 + t) / (10 + t)) at update t, so that a short run
      is not an average of its beginning.

  Source: Polyak and Juditsky, 1992; the warm-up is that of
    tf.train.ExponentialMovingAverage(num_updates=...).

  >>> mean = ema(0.9, warmup=False)
  >>> moved = mean({"w": jnp.float32(1)}, {"w": jnp.float32(2)}, None, 1)
  >>> round(float(moved["w"]), 6)
  1.1
  """
  if not 0 <= decay < 1:
    raise UserError(f"ema: decay={decay} must be in [0, 1), such as 0.999.")

  def average(mean: Params, params: Params, opt_state: Any, step: Array):
    kept = decay
    if warmup:
      kept = jnp.minimum(decay, (1 + step) / (10 + step)).astype(jnp.float32)
    return jax.tree.map(
      lambda m, p: (m + (1 - kept) * (p - m)).astype(m.dtype), mean, params
    )

  return average


def swa(start_step: int, every_steps: int = 1) -> Average:
  """The mean of the weights at every so many updates, from one on.

  Args:
    start_step: completed updates of the first weights that count; the average
      is the weights themselves until then.
    every_steps: updates between two that count.

  Source: Izmailov et al., 2018 (arXiv:1803.05407); torch.optim.swa_utils.
  """
  if start_step < 0 or every_steps < 1:
    raise UserError(
      f"swa: start_step={start_step} must not be negative and"
      f" every_steps={every_steps} at least 1."
    )

  def average(mean: Params, params: Params, opt_state: Any, step: Array):
    since = step - start_step
    counted = jnp.maximum(since // every_steps, 0) + 1
    # Before the start the weights take the average's place as they are.
    counts = (since <= 0) | (since % every_steps == 0)
    share = jnp.where(counts, 1 / counted, 0.0).astype(jnp.float32)
    return jax.tree.map(
      lambda m, p: (m + share * (p - m)).astype(m.dtype), mean, params
    )

  return average


def schedule_free() -> Average:
  """The weights that the optimizer "schedule_free" is to be evaluated with.

  Source: Defazio et al., 2024 (arXiv:2405.15682);
    optax.contrib.schedule_free_eval_params.
  """

  def average(mean: Params, params: Params, opt_state: Any, step: Array):
    flat, out = tree.flatten(params), tree.flatten(mean)
    for state in _states(opt_state):
      # Leaves of other labels are holes in z.
      z = tree.flatten(state.z)
      y = {name: flat[name] for name in z}
      out |= contrib.schedule_free_eval_params(state._replace(z=z), y)
    return tree.unflatten(out)

  return average


def _states(opt_state: Any) -> list[Any]:
  def found(node: Any) -> bool:
    return isinstance(node, contrib.ScheduleFreeState)

  leaves = jax.tree.leaves(opt_state, is_leaf=found)
  return [leaf for leaf in leaves if found(leaf)]
