"""Losses and metrics of tokens, as an example's mean over those asked of."""

import jax.numpy as jnp

from jft import losses, metrics
from jft.typing import IGNORED, Array, Batch, Float, LossFn, Outputs


def make_loss(label_smoothing: float = 0.0) -> LossFn:
  """Returns the cross-entropy of an example's tokens, in their mean.

  Args:
    label_smoothing: share of the target spread over all classes.
  """

  def loss(outputs: Outputs, batch: Batch) -> Float[Array, "b"]:
    logits, label = outputs["logits"], batch["label"]
    flat = losses.softmax_cross_entropy(
      logits.reshape(-1, logits.shape[-1]),
      jnp.maximum(label, 0).reshape(-1),
      smoothing=label_smoothing,
    )
    return mean(flat.reshape(label.shape), label)

  return loss


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
