"""Losses and metrics of tokens, as an example's mean over those asked of."""

import jax.numpy as jnp
import numpy as np

from jft import losses, metrics
from jft.typing import (
  IGNORED,
  Array,
  Batch,
  Callable,
  Float,
  LossFn,
  Outputs,
  Sequence,
)


def make_loss(
  label_smoothing: float = 0.0,
  class_weights: Sequence[float] | np.ndarray | None = None,
) -> LossFn:
  """Returns the cross-entropy of an example's tokens, in their mean.

  Args:
    label_smoothing: share of the target spread over all classes.
    class_weights: how much a token of each class counts in that mean.
  """

  def loss(outputs: Outputs, batch: Batch) -> Float[Array, "b"]:
    logits, label = outputs["logits"], batch["label"]
    flat = losses.softmax_cross_entropy(
      logits.reshape(-1, logits.shape[-1]),
      jnp.maximum(label, 0).reshape(-1),
      smoothing=label_smoothing,
    )
    each = flat.reshape(label.shape)
    if class_weights is None:
      return mean(each, label)
    weights = _weights(label, class_weights)
    total = weights.sum(-1)
    return (each * weights).sum(-1) / jnp.where(total > 0, total, 1)

  return loss


def make_importance(
  class_weights: Sequence[float] | np.ndarray,
) -> Callable[[Batch], Float[Array, "b"]]:
  """Returns batch -> the mean weight of an example's tokens.

  Times `count`, it is the sum that the weighted mean of `make_loss` is of.

  Args:
    class_weights: of the k classes.
  """

  def importance(batch: Batch) -> Float[Array, "b"]:
    label = batch["label"]
    return mean(_weights(label, class_weights), label)

  return importance


def _weights(
  label: Array, class_weights: Sequence[float] | np.ndarray
) -> Float[Array, "b n"]:
  """Returns the weight of each token's class, 0 where nothing is asked."""
  table = jnp.asarray(np.asarray(class_weights, np.float32))
  return jnp.where(label != IGNORED, jnp.take(table, label, mode="clip"), 0)


def accuracy(outputs: Outputs, batch: Batch) -> Float[Array, "b"]:
  """Returns the share of an example's tokens whose best class is right."""
  logits, label = outputs["logits"], batch["label"]
  flat = metrics.accuracy(
    logits.reshape(-1, logits.shape[-1]), label.reshape(-1)
  )
  return mean(flat.reshape(label.shape), label)


def count(batch: Batch) -> Float[Array, "b"]:
  """Returns how many of an example's tokens are asked of: its weight."""
  return (batch["label"] != IGNORED).sum(-1).astype(jnp.float32)


def mean(values: Float[Array, "b n"], label: Array) -> Float[Array, "b"]:
  """Returns the mean over the tokens that are asked of."""
  asked = label != IGNORED
  total = jnp.where(asked, values, 0.0).sum(-1)
  return total / jnp.maximum(asked.sum(-1), 1)
