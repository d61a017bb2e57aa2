"""How the next token is chosen from the model's logits."""

import dataclasses

import jax
import jax.numpy as jnp

from jft.errors import UserError
from jft.typing import Array, Float, Int, Key


@dataclasses.dataclass(frozen=True)
class Sampling:
  """How a token is drawn; the default takes the likeliest.

  Attributes:
    temperature: the logits are divided by it; 0 takes the likeliest.
    top_k: draw among the likeliest k (0: all).
    top_p: draw among the likeliest that together have this probability.

  Raises:
    UserError: for a value that means nothing.
  """

  temperature: float = 0.0
  top_k: int = 0
  top_p: float = 1.0

  def __post_init__(self):
    if not 0 <= self.temperature < float("inf"):
      raise UserError(f"temperature={self.temperature} must be 0 or more.")
    if self.top_k < 0:
      raise UserError(f"top_k={self.top_k} must not be negative.")
    if not 0 < self.top_p <= 1:
      raise UserError(f"top_p={self.top_p} is a share, above 0 and up to 1.")
    if not self.temperature and (self.top_k or self.top_p < 1):
      raise UserError(
        "top_k and top_p choose whom to draw among; temperature=0 draws"
        " nothing. Set a temperature, such as 1.0."
      )


GREEDY = Sampling()
"""Always the likeliest token."""


def sample(
  logits: Float[Array, "b v"], sampling: Sampling, keys: Key
) -> Int[Array, "b"]:
  """Returns a token for every row.

  Args:
    logits: of the next token.
    sampling: see `Sampling`.
    keys: one a row.
  """
  if not sampling.temperature:
    return jnp.argmax(logits, axis=-1).astype(jnp.int32)
  kept = restricted(logits, sampling)
  return jax.vmap(jax.random.categorical)(keys, kept).astype(jnp.int32)


def restricted(
  logits: Float[Array, "b v"], sampling: Sampling
) -> Float[Array, "b v"]:
  """Returns the logits that are drawn from, -inf where nothing is.

  Source: transformers, TemperatureLogitsWarper, TopKLogitsWarper and
    TopPLogitsWarper, in this order; Holtzman et al., arXiv:1904.09751.

  >>> logits = jnp.log(jnp.array([[0.5, 0.3, 0.2]]))
  >>> kept = restricted(logits, Sampling(1.0, top_p=0.6))
  >>> jnp.isfinite(kept).tolist()
  [[True, True, False]]
  """
  logits = logits.astype(jnp.float32) / sampling.temperature
  if 0 < sampling.top_k < logits.shape[-1]:
    least = jax.lax.top_k(logits, sampling.top_k)[0][:, -1:]
    logits = jnp.where(logits < least, -jnp.inf, logits)
  if sampling.top_p < 1:
    order = jnp.argsort(-logits, axis=-1)
    falling = jnp.take_along_axis(logits, order, -1)
    share = jax.nn.softmax(falling)
    # What lies before a token decides: the one that reaches top_p is kept.
    before = jnp.cumsum(share, axis=-1) - share
    falling = jnp.where(before < sampling.top_p, falling, -jnp.inf)
    back = jnp.argsort(order, axis=-1)
    logits = jnp.take_along_axis(falling, back, -1)
  return logits
