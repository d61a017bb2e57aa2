"""A kernel's low-rank side path: through the layer made narrow, and out again.

The first half is the layer itself with `rank` outputs, so that whatever it is
(dense, convolution, embedding) it reads its input as the layer does; the second
half is a matrix. Their product has the kernel's shape.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jft.tuning.adapters.method import aside
from jft.typing import Any, Array, Key


def shapes(
  kernel: tuple[int, ...], features: int, rank: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
  """Returns the shapes of both halves.

  Args:
    kernel: shape of the kernel.
    features: how many of its last axes are outputs.
    rank: of the product.

  >>> shapes((3, 3, 8, 16), 1, 2)
  ((3, 3, 8, 2), (2, 16))
  """
  cut = len(kernel) - features
  return (*kernel[:cut], rank), (rank, *kernel[cut:])


def product(a: Array, b: Array) -> Array:
  """Returns the kernel that both halves are together."""
  return jnp.tensordot(a, b, 1)


def down(module: nn.Module, leaf: str, x: Array, a: Array) -> Array:
  """Returns what the layer would with the kernel `a` and without a bias.

  Args:
    module: the bound layer.
    leaf: its kernel's name.
    x: its input.
    a: of the kernel's shape but for the outputs.
  """
  return _run(module, leaf, x, a, a.shape[-1])


def straight(module: Any, leaf: str, x: Array) -> Array:
  """Returns the layer's own output for `x`, without a bias."""
  kernel = module.get_variable("params", leaf)
  return _run(module, leaf, x, kernel, module.features)


def up(hidden: Array, b: Array) -> Array:
  """Returns the side path's output: the last axis becomes the outputs."""
  return jnp.tensordot(hidden, b.astype(hidden.dtype), 1)


def attend(query: Array, a: Array, b: Array) -> Array:
  """Returns the side path of an embedding that scores its rows."""
  hidden = query @ b.T.astype(query.dtype)
  return hidden @ a.T.astype(query.dtype)


def dropped(x: Array, rate: float, key: Key) -> Array:
  """Returns `x` with a share of zeros, the rest scaled up to make good."""
  kept = jax.random.bernoulli(key, 1 - rate, x.shape)
  return jnp.where(kept, x / (1 - rate), 0).astype(x.dtype)


def _run(
  module: nn.Module, leaf: str, x: Array, kernel: Array, features: Any
) -> Array:
  changed: dict[str, Any] = {"features": features}
  if not isinstance(module, nn.Embed):
    changed["use_bias"] = False
  narrow: Any = module.clone(parent=None, name=None, **changed)
  with aside():
    return narrow.apply({"params": {leaf: kernel}}, x)
