"""Classes in an order, such as marks or stars: is it more than this, and this?

Output j is for "given that the rank is at least j, is it above j?", so the
probability of being above j is the product of all up to j: it never rises.
"""

import jax
import jax.numpy as jnp

from jft.typing import Array, Float, Int


def corn(
  logits: Float[Array, "b k-1"], rank: Int[Array, "b"]
) -> Float[Array, "b"]:
  """Binary cross-entropy of the questions that an example answers, in the mean.

  They are the first min(rank + 1, k - 1) of them: `corn_questions`, which is
  an example's weight in a mean over all questions.

  Args:
    logits: one fewer than there are ranks.
    rank: from 0 to k - 1.

  Source: Shi et al., 2021 (arXiv:2111.08851), equation 6; with that weight its
  mean equals `coral_pytorch.losses.corn_loss`.

  >>> corn(jnp.zeros((2, 3)), jnp.array([0, 3])).round(4)
  Array([0.6931, 0.6931], dtype=float32)
  """
  logits = logits.astype(jnp.float32)
  question = jnp.arange(logits.shape[-1])
  above = rank[:, None] > question
  each = -jax.nn.log_sigmoid(jnp.where(above, logits, -logits))
  asked = rank[:, None] >= question
  return jnp.sum(each * asked, axis=-1) / corn_questions(rank, logits.shape[-1])


def corn_questions(rank: Int[Array, "b"], count: int) -> Float[Array, "b"]:
  """Returns how many of `count` questions each example answers."""
  return jnp.clip(rank + 1, 1, count).astype(jnp.float32)


def corn_rank(logits: Float[Array, "b k-1"]) -> Int[Array, "b"]:
  """Returns the rank: how many of the probabilities of more exceed one half.

  Source: `coral_pytorch.dataset.corn_label_from_logits`.

  >>> corn_rank(jnp.array([[9.0, -9.0, 9.0], [9.0, 9.0, 9.0]])).tolist()
  [1, 3]
  """
  above = jnp.cumprod(jax.nn.sigmoid(logits.astype(jnp.float32)), axis=-1)
  return jnp.sum(above > 0.5, axis=-1)
