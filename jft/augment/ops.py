"""Random changes of one picture.

  augment.on_images([ops.flip(), ops.rotate(15), ops.erasing(0.25)])

Pictures are Float["h w c"], values 0 to 1, and stay of their shape. `p` is the
probability that anything happens; ranges are drawn from evenly.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jft.augment import boxes, filters, geometry, tone
from jft.augment.tone import Image, sides
from jft.errors import UserError
from jft.typing import (
  Array,
  Callable,
  Float,
  Int,
  NamedTuple,
  Sequence,
)

Draws = Float[Array, "draws"]
Range = tuple[float, float]


class Op(NamedTuple):
  """A change of one picture that something random decides.

  All that a batch needs is drawn at once: a hash inside of a step takes long
  to compile.

  Attributes:
    draws: how many numbers it takes, even in [0, 1).
    apply: (those numbers, picture) -> picture.
  """

  draws: int
  apply: Callable[[Draws, Image], Image]


def sometimes(op: Op, p: float) -> Op:
  """Returns the op that happens with probability p."""
  if not 0 <= p <= 1:
    raise UserError(f"p={p} is a probability, in [0, 1].")

  def maybe(u: Draws, image: Image) -> Image:
    return jnp.where(u[0] < p, op.apply(u[1:], image), image)

  return Op(op.draws + 1, maybe)


def always(change: Callable[[Image], Image]) -> Op:
  """Returns the op of a function that draws nothing, such as `tone.invert`."""
  return Op(0, lambda u, image: change(image))


def drawn(change: Callable[..., Image], least: float, most: float) -> Op:
  """Returns the op of a function (picture, amount), of a drawn amount."""
  return Op(1, lambda u, image: change(image, within(u[0], least, most)))


def flip(p: float = 0.5) -> Op:
  """Mirrors left and right."""
  return sometimes(always(lambda image: image[:, ::-1]), p)


def flip_vertical(p: float = 0.5) -> Op:
  """Mirrors top and bottom."""
  return sometimes(always(lambda image: image[::-1]), p)


def random_resized_crop(
  area: Range = (0.08, 1.0), ratio: Range = (3 / 4, 4 / 3)
) -> Op:
  """Cuts out a random part and resizes it to the whole.

  Args:
    area: the least and the greatest share of the area.
    ratio: the least and the greatest width / height, evenly in its logarithm.
      Where ten draws do not fit, the middle is taken, cut to the nearest ratio.

  Source: Szegedy et al., 2015 (arXiv:1409.4842);
    torchvision.transforms.v2.RandomResizedCrop.
  """

  def op(u: Draws, image: Image) -> Image:
    box = boxes.crop(u, sides(image), area, ratio)
    return geometry.resized_crop(image, *box)

  return Op(boxes.DRAWS, op)


def pad_crop(padding: int, mode: str = "reflect") -> Op:
  """Moves the picture by up to `padding` pixels each way.

  Args:
    padding: pixels around the picture before it is cut to its size again.
    mode: what they hold: "reflect", "edge", or "constant" for black.

  Source: He et al., 2016 (arXiv:1512.03385), section 4.2;
    torchvision.transforms.v2.RandomCrop(padding=...).
  """

  def op(u: Draws, image: Image) -> Image:
    around = ((padding, padding), (padding, padding), (0, 0))
    top, left = whole(u, 2 * padding + 1)
    wide = jnp.pad(image, around, mode)
    return jax.lax.dynamic_slice(wide, (top, left, 0), image.shape)

  return Op(2, op)


def random_affine(
  degrees: float = 0.0,
  translate: float = 0.0,
  scale: Range = (1.0, 1.0),
  shear: float = 0.0,
  fill: ArrayLike = 0.0,
) -> Op:
  """Turns, moves, scales and shears around the middle, in one sampling.

  Args:
    degrees: at most, either way.
    translate: at most, either way, as a share of the side.
    scale: the least and the greatest.
    shear: degrees at most, either way, along x.
    fill: what comes in from outside.

  Source: torchvision.transforms.v2.RandomAffine, which moves by whole pixels.
  """

  def op(u: Draws, image: Image) -> Image:
    height, width = image.shape[:2]
    turn, right, down, size, lean = u
    matrix = geometry.affine(
      (width / 2, height / 2),
      degrees=within(turn, -degrees, degrees),
      translate=(
        width * within(right, -translate, translate),
        height * within(down, -translate, translate),
      ),
      scale=within(size, *scale),
      shear=(jnp.tan(jnp.deg2rad(within(lean, -shear, shear))), 0.0),
    )
    return geometry.warp(image, matrix, fill=fill)

  return Op(5, op)


def rotate(degrees: float, fill: ArrayLike = 0.0) -> Op:
  """Turns around the middle by up to so many degrees, either way."""
  return random_affine(degrees, fill=fill)


def scale(least: float, most: float, fill: ArrayLike = 0.0) -> Op:
  """Scales around the middle; above 1 things become larger."""
  return random_affine(scale=(least, most), fill=fill)


def perspective(
  distortion: float = 0.5, p: float = 0.5, fill: ArrayLike = 0.0
) -> Op:
  """Looks at the picture from aside.

  Args:
    distortion: how far the corners come inwards, as a share of half the side.
    p: how often.
    fill: what comes in from outside.

  Source: torchvision.transforms.v2.RandomPerspective.
  """

  def op(u: Draws, image: Image) -> Image:
    height, width = image.shape[:2]
    side = jnp.array([width - 1.0, height - 1.0])
    corners = jnp.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    inwards = u.reshape(4, 2) * distortion / 2
    moved = (corners + (1 - 2 * corners) * inwards) * side
    matrix = geometry.perspective(moved, width - 1.0, height - 1.0)
    return geometry.warp(image, matrix, fill=fill)

  return sometimes(Op(8, op), p)


def color_jitter(
  brightness: float = 0.4,
  contrast: float = 0.4,
  saturation: float = 0.4,
  hue: float = 0.1,
) -> Op:
  """Changes brightness, contrast, saturation and hue, in this order.

  Args:
    brightness, contrast, saturation: factors are drawn from 1 - x to 1 + x.
    hue: turns are drawn from -hue to hue, of the colour circle.

  Source: torchvision.transforms.v2.ColorJitter, whose order is drawn.
  """

  def op(u: Draws, image: Image) -> Image:
    changes = (tone.brightness, tone.contrast, tone.saturation)
    amounts = (brightness, contrast, saturation)
    for i, (change, x) in enumerate(zip(changes, amounts, strict=True)):
      if x:
        image = change(image, within(u[i], max(0.0, 1 - x), 1 + x))
    return tone.hue(image, within(u[3], -hue, hue)) if hue else image

  return Op(4, op)


def grayscale(p: float = 0.1) -> Op:
  """Takes the colour away."""
  return sometimes(always(tone.grayscale), p)


def gaussian_blur(p: float = 0.5, sigma: Range = (0.1, 2.0)) -> Op:
  """Blurs by a Gaussian; its square is a tenth of the side.

  Args:
    p: how often.
    sigma: the least and the greatest deviation, in pixels.

  Source: Chen et al., 2020 (arXiv:2002.05709), appendix A.
  """

  def op(u: Draws, image: Image) -> Image:
    size = max(3, min(sides(image)) // 10 // 2 * 2 + 1)
    return filters.gaussian_blur(image, within(u[0], *sigma), size=size)

  return sometimes(Op(1, op), p)


def sharpness(p: float = 0.5, factors: Range = (0.1, 1.9)) -> Op:
  """Blurs a little (below 1) or sharpens (above 1)."""
  return sometimes(drawn(filters.sharpness, *factors), p)


def solarize(p: float = 0.2, threshold: float = 0.5) -> Op:
  """Turns what is light into its negative."""
  return sometimes(always(lambda image: tone.solarize(image, threshold)), p)


def posterize(p: float = 0.2, bits: int = 4) -> Op:
  """Keeps so many bits of 8."""
  return sometimes(always(lambda image: tone.posterize(image, bits)), p)


def equalize(p: float = 0.5) -> Op:
  """Makes all levels about as frequent."""
  return sometimes(always(tone.equalize), p)


def autocontrast(p: float = 0.5) -> Op:
  """Spreads each channel over all levels."""
  return sometimes(always(tone.autocontrast), p)


def invert(p: float = 0.1) -> Op:
  """Turns the picture into its negative."""
  return sometimes(always(tone.invert), p)


def erasing(
  p: float = 0.25,
  area: Range = (0.02, 1 / 3),
  ratio: Range = (0.3, 3.3),
  fill: Sequence[float] | float = 0.0,
) -> Op:
  """Paints over a random rectangle.

  Args:
    p: how often; never where ten draws do not fit into the picture.
    area: the least and the greatest share of the area.
    ratio: the least and the greatest height / width, evenly in its logarithm.
    fill: one value, or one a channel; the model's own mean is 0 to it.

  Source: Zhong et al., 2017 (arXiv:1708.04896);
    torchvision.transforms.v2.RandomErasing.
  """
  # A box is drawn by its width / height.
  upright = (1 / ratio[1], 1 / ratio[0])

  def op(u: Draws, image: Image) -> Image:
    found, box = boxes.draw(u, sides(image), area, upright, whole=False)
    covered = boxes.mask(sides(image), *box) & found
    return jnp.where(covered[..., None], jnp.asarray(fill), image)

  return sometimes(Op(boxes.DRAWS, op), p)


def within(u: ArrayLike, least: ArrayLike, most: ArrayLike) -> Array:
  """Returns the number between two that u in [0, 1) stands for."""
  return jnp.asarray(least + u * (jnp.asarray(most) - least))


def whole(u: ArrayLike, n: ArrayLike) -> Int[Array, "..."]:
  """Returns the whole number from 0 to n - 1 that u in [0, 1) stands for."""
  return jnp.minimum(jnp.floor(u * jnp.asarray(n)), jnp.asarray(n) - 1).astype(
    jnp.int32
  )
