"""Losses per example, in float32 whatever the model computes in.

A loss returns one number for each example, so that masks, weights and exact
means over padded or sharded batches stay the caller's business.
"""

import jax.numpy as jnp
import optax
from jax.nn import logsumexp

from jft.typing import Array, Float, Int


def softmax_cross_entropy(
  logits: Float[Array, "b k"],
  label: Int[Array, "b"] | Float[Array, "b k"],
  *,
  smoothing: float = 0.0,
) -> Float[Array, "b"]:
  """Cross-entropy of integer labels or of shares, natural logarithm.

  Args:
    logits: unnormalised scores.
    label: class indices in 0..k-1, padding may hold any number, mask it; or
      every class's share, 1 in all.
    smoothing: share of the target spread evenly over all classes.

  Source: Szegedy et al., 2016 (arXiv:1512.00567), section 7, for smoothing;
  equals `torch.nn.functional.cross_entropy(..., reduction="none")`.
  """
  logits = logits.astype(jnp.float32)
  if label.ndim == logits.ndim:
    hard = optax.losses.softmax_cross_entropy(logits, label)
  else:
    hard = optax.losses.softmax_cross_entropy_with_integer_labels(logits, label)
  if not smoothing:
    return hard
  even = jnp.mean(logsumexp(logits, axis=-1, keepdims=True) - logits, axis=-1)
  return (1 - smoothing) * hard + smoothing * even


def squared_error(
  value: Float[Array, "b"], target: Float[Array, "b"]
) -> Float[Array, "b"]:
  """The square of the difference, in float32."""
  return jnp.square(_difference(value, target))


def absolute_error(
  value: Float[Array, "b"], target: Float[Array, "b"]
) -> Float[Array, "b"]:
  """The size of the difference, in float32."""
  return jnp.abs(_difference(value, target))


def _difference(value: Array, target: Array) -> Array:
  return value.astype(jnp.float32) - target.astype(jnp.float32)
