"""Losses of one class an example, of many."""

import jax
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


def softmax_focal(
  logits: Float[Array, "b k"],
  label: Int[Array, "b"] | Float[Array, "b k"],
  *,
  gamma: float = 2.0,
) -> Float[Array, "b"]:
  """Cross-entropy times (1 - p)**gamma, p the probability of the right class.

  What the model is sure of already counts little. Of shares it is the mean over
  the classes by their shares.

  Args:
    logits: unnormalised scores.
    label: class indices, or every class's share.
    gamma: 0 is cross-entropy; more looks away from easy examples the more.

  Source: Lin et al., 2017 (arXiv:1708.02002), equation 4, with the softmax's p.

  >>> float(softmax_focal(jnp.zeros((1, 2)), jnp.array([0]), gamma=1.0)[0])
  0.3465735912322998
  """
  log_p = jax.nn.log_softmax(logits.astype(jnp.float32))
  if label.ndim == logits.ndim:
    return -jnp.sum(label * _focused(log_p, gamma), axis=-1)
  own = jnp.take_along_axis(log_p, label[:, None], axis=-1)[:, 0]
  return -_focused(own, gamma)


def logit_adjusted(
  logits: Float[Array, "b k"], log_prior: Float[Array, "k"], tau: float = 1.0
) -> Float[Array, "b k"]:
  """Scores plus tau times the logarithm of the classes' shares.

  The softmax loss of these, in training alone, makes the plain scores those of
  a model that has seen all classes equally often.

  Args:
    logits: unnormalised scores.
    log_prior: of the classes' shares in training.
    tau: 0 changes nothing, 1 is the balanced error's own.

  Source: Menon et al., 2021 (arXiv:2007.07314), equation 10.
  """
  return logits.astype(jnp.float32) + tau * log_prior


def _focused(log_p: Array, gamma: float) -> Array:
  # 1 - p, without the digits that it loses where p is about 1; the least is
  # above 0, where a power has no finite gradient.
  rest = jnp.maximum(-jnp.expm1(log_p), jnp.finfo(jnp.float32).tiny)
  return rest**gamma * log_p
