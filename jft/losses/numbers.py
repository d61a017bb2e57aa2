"""Losses of one number an example."""

import jax.numpy as jnp

from jft.typing import Array, Float


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


def huber(
  value: Float[Array, "b"], target: Float[Array, "b"], *, delta: float = 1.0
) -> Float[Array, "b"]:
  """Half the square up to a difference of `delta`, beyond it a straight line.

  Args:
    value, target: of each example.
    delta: where a difference begins to be an outlier, in the target's unit.

  Source: Huber, 1964, "Robust estimation of a location parameter"; equals
  `torch.nn.HuberLoss(reduction="none", delta=delta)`.

  >>> huber(jnp.array([0.5, 3.0]), jnp.zeros(2)).tolist()
  [0.125, 2.5]
  """
  size = absolute_error(value, target)
  near = jnp.minimum(size, delta)
  return 0.5 * near**2 + delta * (size - near)


def _difference(value: Array, target: Array) -> Array:
  return value.astype(jnp.float32) - target.astype(jnp.float32)
