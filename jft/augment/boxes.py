"""Random rectangles in a picture: (top, left, height, width), in pixels."""

import math

import jax.numpy as jnp
from jax.typing import ArrayLike

from jft.typing import Array, Bool, Float

Box = tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike]
_TRIES = 10
DRAWS = 2 * _TRIES + 2
"""How many numbers decide."""


def draw(
  u: Float[Array, "22"],
  shape: tuple[int, int],
  area: tuple[float, float],
  ratio: tuple[float, float],
  *,
  whole: bool,
) -> tuple[Bool[Array, ""], Box]:
  """Draws up to ten rectangles and takes the first that fits.

  Args:
    u: what decides, numbers even in [0, 1).
    shape: height and width of the picture.
    area: the least and the greatest share of its area, drawn evenly.
    ratio: the least and the greatest width / height, evenly in its logarithm.
    whole: may a side be as long as the picture's?

  Returns:
    (did one fit?, the rectangle; of no meaning where none did).
  """
  low, high = math.log(ratio[0]), math.log(ratio[1])
  shares = area[0] + u[:_TRIES] * (area[1] - area[0])
  ratios = jnp.exp(low + u[_TRIES : 2 * _TRIES] * (high - low))
  pixels = shape[0] * shape[1] * shares
  heights = jnp.round(jnp.sqrt(pixels / ratios)).astype(jnp.int32)
  widths = jnp.round(jnp.sqrt(pixels * ratios)).astype(jnp.int32)
  most = [side - (not whole) for side in shape]
  fits = (heights <= most[0]) & (widths <= most[1])
  fits &= (heights > 0) & (widths > 0)
  first = jnp.argmax(fits)
  height, width = heights[first], widths[first]
  top = jnp.floor(u[-2] * (shape[0] - height + 1)).astype(jnp.int32)
  left = jnp.floor(u[-1] * (shape[1] - width + 1)).astype(jnp.int32)
  return fits.any(), (top, left, height, width)


def crop(
  u: Float[Array, "22"],
  shape: tuple[int, int],
  area: tuple[float, float],
  ratio: tuple[float, float],
) -> Box:
  """Draws a rectangle, or takes the middle, cut to the nearest ratio."""
  found, box = draw(u, shape, area, ratio, whole=True)
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
