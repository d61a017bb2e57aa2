"""Blur and sharpness of one picture, Float["h w c"], values 0 to 1."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jft.augment.tone import Image, blend
from jft.errors import UserError
from jft.typing import Array


def gaussian_blur(image: Image, sigma: ArrayLike, *, size: int) -> Image:
  """Blurs by a Gaussian, the border mirrored.

  Args:
    image: larger than half the size.
    sigma: the Gaussian's deviation in pixels.
    size: pixels of its square, odd; what lies beyond is cut off.

  Source: torchvision.transforms.v2.functional.gaussian_blur.
  """
  if size % 2 == 0 or size // 2 >= min(image.shape[:2]):
    raise UserError(
      f"size={size} of a blur must be odd and its half below the picture's"
      f" {image.shape[:2]}."
    )
  away = jnp.arange(size) - size // 2
  weights = jnp.exp(-0.5 * (away / sigma) ** 2)
  weights = weights / weights.sum()
  for axis in (0, 1):
    image = _along(image, weights, axis)
  return image


def sharpness(image: Image, factor: ArrayLike) -> Image:
  """Moves the picture from its blur: 0 is blurred, 1 itself, 2 sharper.

  The blur weighs each pixel 5 and its neighbours 1; the border stays.

  Source: torchvision.transforms.v2.functional.adjust_sharpness.
  """
  if min(image.shape[:2]) <= 2:
    return image
  box = image
  for axis in (0, 1):
    count = box.shape[axis] - 2
    three = [_rows(box, start, count, axis) for start in range(3)]
    box = three[0] + three[1] + three[2]
  inner = (box + 4 * image[1:-1, 1:-1]) / 13
  return blend(image, image.at[1:-1, 1:-1].set(inner), factor)


def _along(image: Image, weights: Array, axis: int) -> Image:
  """Returns the weighted sum of neighbours along one axis."""
  half, count = len(weights) // 2, image.shape[axis]
  border = [(0, 0)] * 3
  border[axis] = (half, half)
  padded = jnp.pad(image, border, mode="reflect")
  return sum(
    (w * _rows(padded, i, count, axis) for i, w in enumerate(weights)),
    start=jnp.zeros_like(image),
  )


def _rows(image: Array, start: int, count: int, axis: int) -> Array:
  return jax.lax.slice_in_dim(image, start, start + count, axis=axis)
