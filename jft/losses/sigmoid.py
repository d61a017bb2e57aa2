"""Losses of any number of classes an example: a yes or no for each."""

import jax
import jax.numpy as jnp

from jft.typing import Array, ArrayLike, Float, Int


def sigmoid_cross_entropy(
  logits: Float[Array, "b k"],
  label: Int[Array, "b k"] | Float[Array, "b k"],
  *,
  pos_weight: Float[ArrayLike, "k"] | float = 1.0,
) -> Float[Array, "b"]:
  """Binary cross-entropy of every class, in their mean.

  Args:
    logits: unnormalised scores.
    label: 1 where the example is of the class, else 0, or shares between.
    pos_weight: how many times a yes counts, of each class.

  Source: `torch.nn.BCEWithLogitsLoss(pos_weight=...)`, whose mean is over the
  classes too.

  >>> float(sigmoid_cross_entropy(jnp.zeros((1, 2)), jnp.array([[0, 1]]))[0])
  0.6931471824645996
  """
  each = _cross_entropy(logits, label, pos_weight)
  return each.mean(-1)


def sigmoid_focal(
  logits: Float[Array, "b k"],
  label: Int[Array, "b k"] | Float[Array, "b k"],
  *,
  gamma: float = 2.0,
  alpha: float | None = None,
) -> Float[Array, "b"]:
  """Binary cross-entropy times (1 - p)**gamma of every class, in their sum.

  p is the probability of the right answer.

  Args:
    logits: unnormalised scores.
    label: 1 where the example is of the class, else 0.
    gamma: 0 is cross-entropy; more looks away from easy answers the more.
    alpha: the weight of a yes, of a no it is 1 - alpha; None: both count 1.

  Source: Lin et al., 2017 (arXiv:1708.02002), equation 5; equals
  `torchvision.ops.sigmoid_focal_loss(..., reduction="none")`, summed.
  """
  target = label.astype(jnp.float32)
  p = jax.nn.sigmoid(logits.astype(jnp.float32))
  wrong = p * (1 - target) + (1 - p) * target
  least = jnp.finfo(jnp.float32).tiny  # Where a power has no finite gradient.
  each = _cross_entropy(logits, target) * jnp.maximum(wrong, least) ** gamma
  if alpha is not None:
    each = each * (alpha * target + (1 - alpha) * (1 - target))
  return each.sum(-1)


def _cross_entropy(
  logits: Array, label: Array, pos_weight: ArrayLike | float = 1.0
) -> Array:
  weight = jnp.asarray(pos_weight, jnp.float32)
  logits, target = logits.astype(jnp.float32), label.astype(jnp.float32)
  yes, no = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
  return -(weight * target * yes + (1 - target) * no)
