"""Weights, inputs and summaries that a seed and a name determine.

A golden file then holds only what the original computed. NumPy alone: the
scripts that make the goldens run where there is no JAX.
"""

import zlib

import numpy as np

CLASSES = 10
"""Outputs of every golden model's head."""

_POSITIVE = ("running_var", "gamma:0", "moving_variance:0")


def draw(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
  """Returns a tensor's values, float32, none of them idle.

  Norm scales and running variances lie in [0.5, 1.5], so that neither is
  neutral; kernels, PyTorch's (out, in, ...) or Keras' (..., in, out), keep the
  scale of their input.
  """
  rng = _generator(name, seed)
  if name.endswith(_POSITIVE) or (name.endswith("weight") and len(shape) == 1):
    values = rng.uniform(0.5, 1.5, shape)
  elif len(shape) > 1:
    inputs = shape[:-1] if "kernel" in name else shape[1:]
    values = rng.standard_normal(shape) / np.sqrt(np.prod(inputs))
  else:
    values = 0.2 * rng.standard_normal(shape)
  return values.astype(np.float32)


def images(channels: int, seed: int, size: int = 64) -> np.ndarray:
  """Returns the images of every golden of an image model, [b h w c]."""
  shape = (2, size, size, channels)
  return _generator("image", seed).standard_normal(shape, np.float32)


def summary(name: str, array: np.ndarray, size: int = 4) -> np.ndarray:
  """Returns the norm and `size` random projections of an array.

  Two arrays that differ in one element differ in all projections, so this
  stands for an array too large to keep. A projection is as large as the norm.
  """
  flat = np.asarray(array, np.float64).ravel()
  rng = _generator(name, 0)
  signs = [rng.integers(0, 2, flat.size, np.int8) for _ in range(size)]
  projections = [2 * flat[sign == 1].sum() - flat.sum() for sign in signs]
  return np.array([np.linalg.norm(flat), *projections])


def _generator(name: str, seed: int) -> np.random.Generator:
  return np.random.default_rng([seed, zlib.crc32(name.encode())])
