"""Random rectangles in a picture: (top, left, height, width), in pixels."""

import math

import jax
import jax.numpy as jnp

from jft.typing import Array, ArrayLike, Bool, Key

Box = tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike]
_TRIES = 10


def draw(
  key: Key,
  shape: tuple[int, int],
  area: tuple[float, float],
  ratio: tuple[float, float],
  *,
  whole: bool,
) -> tuple[Bool[Array, ""], Box]:
  """Draws up to ten rectangles and takes the first that fits.

  Args:
    key: what decides.
    shape: height and width of the picture.
    area: the least and the greatest share of its area, drawn evenly.
    ratio: the least and the greatest width / height, evenly in its logarithm.
    whole: may a side be as long as the picture's?

  Returns:
    (did one fit?, the rectangle; of no meaning where none did).
  """
  keys = jax.random.split(key, 4)
  low, high = math.log(ratio[0]), math.log(ratio[1])
  shares = jax.random.uniform(keys[0], _TRIES, minval=area[0], maxval=area[1])
  ratios = jnp.exp(jax.random.uniform(keys[1], _TRIES, minval=low, maxval=high))
  pixels = shape[0] * shape[1] * shares
  heights = jnp.round(jnp.sqrt(pixels / ratios)).astype(jnp.int32)
  widths = jnp.round(jnp.sqrt(pixels * ratios)).astype(jnp.int32)
  most = [side - (not whole) for side in shape]
  fits = (heights <= most[0]) & (widths <= most[1])
  fits &= (heights > 0) & (widths > 0)
  first = jnp.argmax(fits)
  height, width = heights[first], widths[first]
  top = jax.random.randint(keys[2], (), 0, shape[0] - height + 1)
  left = jax.random.randint(keys[3], (), 0, shape[1] - width + 1)
  return fits.any(), (top, left, height, width)


def crop(
  key: Key,
  shape: tuple[int, int],
  area: tuple[float, float],
  ratio: tuple[float, float],
) -> Box:
  """Draws a rectangle, or takes the middle, cut to the nearest ratio."""
  found, box = draw(key, shape, area, ratio, whole=True)
  height = min(shape[0], max(1, round(shape[1] / ratio[0])))
  width = min(shape[1], max(1, round(shape[0] * ratio[1])))
  top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
  middle = (top, left, height, width)
  top, left, height, width = (
    jnp.where(found, a, b) for a, b in zip(box, middle, strict=True)
  )
  return top, left, height, width


def mask(
  shape: tuple[int, int],
  top: ArrayLike,
  left: ArrayLike,
  height: ArrayLike,
  width: ArrayLike,
) -> Bool[Array, "h w"]:
  """Returns where a rectangle covers a picture of this height and width."""
  row, column = jnp.mgrid[: shape[0], : shape[1]]
  inside = (row >= top) & (row < top + height)
  return inside & (column >= left) & (column < left + width)
