"""Where the pixels of one picture come from: warps and crops.

A warp is a matrix: from a place in the new picture to a place in the old one,
(x, y, 1) in pixels, the first pixel's middle being (0.5, 0.5). Matrices are
multiplied, pictures are sampled once.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jft.augment.tone import Image
from jft.typing import Array, Float

Matrix = Float[Array, "3 3"]


def warp(
  image: Image, matrix: Matrix, *, nearest: bool = False, fill: ArrayLike = 0.0
) -> Image:
  """Returns the picture whose pixels are taken from where the matrix says.

  Args:
    image: the picture.
    matrix: from new places to old ones.
    nearest: take the nearest pixel; else mix the four around, bilinearly.
    fill: what lies outside of the picture, Float[] or Float["c"].

  Source: torch.nn.functional.grid_sample, align_corners=False, as
    torchvision's affine and perspective call it.
  """
  height, width, channels = image.shape
  y, x = jnp.mgrid[:height, :width] + 0.5
  u, v, depth = jnp.einsum("ij,jhw->ihw", matrix, jnp.stack([x, y, 0 * x + 1]))
  u, v = u / depth - 0.5, v / depth - 0.5
  pixels = image.reshape(-1, channels)

  def at(row: Array, column: Array) -> Array:
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    place = jnp.where(inside, row * width + column, 0).astype(jnp.int32)
    return jnp.where(inside[..., None], pixels[place], fill)

  if nearest:
    return at(jnp.round(v), jnp.round(u))
  top, left = jnp.floor(v), jnp.floor(u)
  down, right = (v - top)[..., None], (u - left)[..., None]
  above = at(top, left) * (1 - right) + at(top, left + 1) * right
  below = at(top + 1, left) * (1 - right) + at(top + 1, left + 1) * right
  return above * (1 - down) + below * down


def affine(
  centre: tuple[float, float],
  *,
  degrees: ArrayLike = 0.0,
  translate: tuple[ArrayLike, ArrayLike] = (0.0, 0.0),
  scale: ArrayLike = 1.0,
  shear: tuple[ArrayLike, ArrayLike] = (0.0, 0.0),
) -> Matrix:
  """Returns the matrix that shears, turns, scales and then moves a picture.

  Args:
    centre: (x, y) in pixels, which only `translate` moves.
    degrees: clockwise.
    translate: (right, down) in pixels.
    scale: above 1 things become larger.
    shear: the tangents of the angles along x and along y.

  Source: torchvision.transforms.v2.functional.affine, whose `shear` is the
    angles.
  """
  radians = jnp.deg2rad(degrees)
  cos, sin = jnp.cos(radians), jnp.sin(radians)
  turn = _matrix([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
  along_x = _matrix([[1, jnp.negative(shear[0]), 0], [0, 1, 0], [0, 0, 1]])
  along_y = _matrix([[1, 0, 0], [jnp.negative(shear[1]), 1, 0], [0, 0, 1]])
  size = _matrix([[scale, 0, 0], [0, scale, 0], [0, 0, 1]])
  there = _move(centre[0] + translate[0], centre[1] + translate[1])
  back = _move(-centre[0], -centre[1])
  # From old places to new ones; a warp asks for the other way.
  return inverse(there @ turn @ along_y @ along_x @ size @ back)


def perspective(
  corners: Float[Array, "4 2"], width: float, height: float
) -> Matrix:
  """Returns the matrix that moves a picture's corners to other places.

  Args:
    corners: where (0, 0), (width, 0), (width, height) and (0, height) go, as
      (x, y) in pixels: a convex shape, in this order.
    width, height: of the old shape; torchvision's corners are those of
      (width - 1, height - 1) of its picture.

  Source: Heckbert, 1989, "Fundamentals of Texture Mapping and Image Warping",
    section 2.2.3: the unit square to a quadrilateral;
    torchvision.transforms.v2.functional.perspective.
  """
  first, second, third, fourth = corners
  (ax, ay), (bx, by) = second - third, fourth - third
  sx, sy = first - second + third - fourth
  area = ax * by - ay * bx
  g, h = (sx * by - sy * bx) / area, (ax * sy - ay * sx) / area
  from_square = jnp.column_stack(
    [
      jnp.append(second * (1 + g) - first, g),
      jnp.append(fourth * (1 + h) - first, h),
      jnp.append(first, 1.0),
    ]
  )
  to_square = _matrix([[1 / width, 0, 0], [0, 1 / height, 0], [0, 0, 1]])
  return inverse(from_square @ to_square)


def inverse(matrix: Matrix) -> Matrix:
  """Returns the inverse, by cofactors: no solver inside a step."""
  first, second, third = matrix
  cofactors = jnp.column_stack(
    [
      jnp.cross(second, third),
      jnp.cross(third, first),
      jnp.cross(first, second),
    ]
  )
  return cofactors / jnp.dot(first, cofactors[:, 0])


def resized_crop(
  image: Image,
  top: ArrayLike,
  left: ArrayLike,
  height: ArrayLike,
  width: ArrayLike,
) -> Image:
  """Cuts a part out and resizes it to the whole, averaging what shrinks.

  A bilinear resize is a matrix for each axis: two matrix products, whatever
  part was drawn.

  Args:
    image: the picture.
    top, left, height, width: of the part, in pixels.

  Source: torchvision.transforms.v2.functional.resized_crop, bilinear with
    antialias=True.
  """
  rows = _resize(image.shape[0], top, height)
  columns = _resize(image.shape[1], left, width)
  return jnp.einsum(
    "ih,jw,hwc->ijc", rows, columns, image, precision=jax.lax.Precision.HIGHEST
  )


def _resize(size: int, start: ArrayLike, length: ArrayLike) -> Array:
  """Returns how much each old pixel counts in each new one, [new, old]."""
  scale = length / size
  middles = start + scale * (jnp.arange(size) + 0.5)
  old = jnp.arange(size) + 0.5
  away = jnp.abs(old - middles[:, None]) / jnp.maximum(scale, 1.0)
  inside = (old > start) & (old < start + length)
  weights = jnp.where(inside, jnp.maximum(1 - away, 0), 0)
  return weights / weights.sum(1, keepdims=True)


def _matrix(rows: list[list[ArrayLike]]) -> Matrix:
  return jnp.stack([jnp.stack([jnp.float32(x) for x in row]) for row in rows])


def _move(x: ArrayLike, y: ArrayLike) -> Matrix:
  return _matrix([[1, 0, x], [0, 1, y], [0, 0, 1]])
