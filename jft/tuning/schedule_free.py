"""AdamW without a schedule: its momentum is an average of the weights.

The weights that a gradient is taken at lie between the optimizer's own and
their average; to be evaluated is the average (`jft.tuning.average`).
"""

import jax
import optax
from optax import contrib

from jft.typing import Any


def adamw(
  rate: optax.Schedule,
  *,
  b1: float,
  b2: float,
  eps: float,
  weight_decay: float = 0.0,
  mask: Any = None,
) -> optax.GradientTransformationExtraArgs:
  """Returns schedule-free AdamW.

  Its `update` takes `lr_scale`, by which the caller will multiply the updates,
  and moves its own weights by that much less, too: the average, which is read
  off the two, would be wrong otherwise.

  Args:
    rate: learning rate, constant but for a warm-up.
    b1: weight of the average in the weights that are trained, above 0.
    b2, eps: Adam's.
    weight_decay: decoupled; mask: params -> which leaves.

  Source: Defazio et al., 2024 (arXiv:2405.15682), algorithm 1.
  """
  base = optax.chain(
    optax.scale_by_rms(b2, eps=eps, eps_in_sqrt=False, bias_correction=True),
    optax.add_decayed_weights(weight_decay, mask),
    optax.scale_by_learning_rate(rate),
  )
  inner = contrib.schedule_free(base, rate, b1=b1)

  def update(updates, state: Any, params=None, *, lr_scale: Any = 1.0, **extra):
    found: Any = inner.update(updates, state, params, **extra)
    updates, new = found
    left = 1 - lr_scale
    z = jax.tree.map(
      lambda z, old: (z - left * (z - old)).astype(z.dtype), new.z, state.z
    )
    return updates, new._replace(z=z)

  return optax.GradientTransformationExtraArgs(inner.init, update)
