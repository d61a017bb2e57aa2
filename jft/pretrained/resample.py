"""Position embeddings for another grid of patches."""

import math
from collections.abc import Sequence

import numpy as np

from jft.errors import UserError
from jft.typing import Float

_A = -0.5  # Keys' cubic; PyTorch takes it where it antialiases, else -0.75.


def resample_position(
  array: Float[np.ndarray, "1 n d"],
  target_shape: Sequence[int],
  prefix_tokens: int = 1,
) -> Float[np.ndarray, "1 n2 d"]:
  """Returns position embeddings for an image of another size.

  The positions of the patches, a square, are resampled by antialiased bicubic
  interpolation in float32; those before them stay as they are.

  Args:
    array: as loaded.
    target_shape: [1, n2, d], as wanted.
    prefix_tokens: positions before those of the patches.

  Raises:
    UserError: if the patches make no square, or the width differs.

  Source: timm.layers.resample_abs_pos_embed.

  >>> grid = np.ones((1, 1 + 14 * 14, 8), np.float32)
  >>> resample_position(grid, (1, 1 + 24 * 24, 8)).shape
  (1, 577, 8)
  """
  old, new = (
    _side(count - prefix_tokens, prefix_tokens)
    for count in (array.shape[1], target_shape[1])
  )
  width = array.shape[2]
  if width != target_shape[2]:
    raise UserError(
      f"position embeddings of width {width} cannot become {target_shape[2]}"
      " wide: the file is of another architecture."
    )
  prefix, patches = array[:, :prefix_tokens], array[:, prefix_tokens:]
  grid = patches.astype(np.float32).reshape(old, old, width)
  weights = _weights(old, new)
  grid = np.einsum("ih,jw,hwd->ijd", weights, weights, grid, optimize=True)
  patches = grid.reshape(1, new * new, width).astype(array.dtype)
  return np.concatenate([prefix, patches], axis=1)


def _side(patches: int, prefix_tokens: int) -> int:
  side = math.isqrt(max(patches, 0))
  if side < 1 or side * side != patches:
    raise UserError(
      f"{patches} positions of patches (beside {prefix_tokens} others) make no"
      " square; give another image_size."
    )
  return side


def _weights(old: int, new: int) -> Float[np.ndarray, "new old"]:
  """Returns what each old place gives to each new one; a row sums to 1."""
  step = old / new
  stretch = max(step, 1.0)  # to less places: the kernel covers those between
  centres = (np.arange(new) + 0.5) * step
  distances = np.arange(old) + 0.5 - centres[:, None]
  weights = _cubic(np.abs(distances) / stretch)
  return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _cubic(x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
  """Keys' interpolation kernel."""
  near = ((_A + 2) * x - (_A + 3)) * x * x + 1
  far = (((x - 5) * x + 8) * x - 4) * _A
  return np.where(x < 1, near, np.where(x < 2, far, 0.0))
