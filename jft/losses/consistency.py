"""How far two distributions over the same classes are apart."""

import jax
import jax.numpy as jnp

from jft.typing import Array, Float


def distillation(
  logits: Float[Array, "b k"],
  teacher: Float[Array, "b k"],
  *,
  temperature: float = 2.0,
) -> Float[Array, "b"]:
  """What a student's softened probabilities lack of its teacher's.

  It is T² KL(teacher || student) of the softmax of logits / T; with the square
  the gradient is about as large at every temperature.

  Args:
    logits: the student's.
    teacher: its logits; no gradient flows into them.
    temperature: above 1 shows more of how alike the wrong classes are.

  Source: Hinton et al., 2015 (arXiv:1503.02531), section 2; equals T² times
  `torch.nn.functional.kl_div` of the same, summed over the classes.

  >>> distillation(jnp.ones((1, 3)), jnp.ones((1, 3))).tolist()
  [0.0]
  """
  teacher = jax.lax.stop_gradient(teacher.astype(jnp.float32))
  own = logits.astype(jnp.float32)
  return temperature**2 * _kl(teacher / temperature, own / temperature)


def symmetric_kl(
  one: Float[Array, "b k"], other: Float[Array, "b k"]
) -> Float[Array, "b"]:
  """The mean of KL(one || other) and KL(other || one), of logits.

  Source: Liang et al., 2021 (arXiv:2106.14448), equation 2, and the
  `compute_kl_loss` of its code, which sums over what this keeps apart.
  """
  one, other = one.astype(jnp.float32), other.astype(jnp.float32)
  return 0.5 * (_kl(one, other) + _kl(other, one))


def _kl(p: Array, q: Array) -> Array:
  log_p, log_q = jax.nn.log_softmax(p), jax.nn.log_softmax(q)
  return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)
