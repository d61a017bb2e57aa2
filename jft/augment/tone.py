"""Brightness, colour and contrast of one picture: every pixel by itself.

Pictures are Float["h w c"], values 0 to 1, of 1 or 3 channels. Where the
original counts in 8 bits (posterize, equalize), so do these. All are the
functions of that name in torchvision.transforms.v2.functional.
"""

import jax.numpy as jnp
from jax.typing import ArrayLike

from jft.errors import UserError
from jft.typing import Array, Float, Int

_LUMA = (0.2989, 0.587, 0.114)  # torchvision's digits of ITU-R 601.
_LEVELS = 256

Image = Float[Array, "h w c"]


def blend(image: Image, other: ArrayLike, factor: ArrayLike) -> Image:
  """Returns factor * image + (1 - factor) * other, cut to 0 to 1."""
  return jnp.clip(factor * image + (1 - factor) * other, 0, 1)


def brightness(image: Image, factor: ArrayLike) -> Image:
  """Multiplies the picture: 0 is black, 1 the picture itself."""
  return blend(image, 0.0, factor)


def contrast(image: Image, factor: ArrayLike) -> Image:
  """Moves the picture from its mean grey: 0 is that grey."""
  return blend(image, luma(image).mean(), factor)


def saturation(image: Image, factor: ArrayLike) -> Image:
  """Moves the picture from its greys: 0 is without colour."""
  return blend(image, luma(image), factor)


def hue(image: Image, turn: ArrayLike) -> Image:
  """Turns the colour circle.

  Args:
    image: 1 channel has no colour and stays.
    turn: of the circle, -0.5 to 0.5.
  """
  if _channels(image) == 1:
    return image
  most, least = image.max(-1), image.min(-1)
  spread = most - least
  safe = jnp.where(spread > 0, spread, 1)
  red, green, blue = jnp.moveaxis(image, -1, 0)
  # Where on the circle, in sixths: from the greatest channel.
  sixths = jnp.select(
    [most == red, most == green],
    [(green - blue) / safe, 2 + (blue - red) / safe],
    4 + (red - green) / safe,
  )
  turned = (sixths + 6 * turn)[..., None]
  # A channel is high around its own place, 0, 2 or 4, and low across.
  away = jnp.abs((turned - jnp.array([0.0, 2.0, 4.0]) + 3) % 6 - 3)
  level = jnp.clip(2 - away, 0, 1)
  return least[..., None] + spread[..., None] * level


def grayscale(image: Image) -> Image:
  """Returns the picture without colour, in as many channels."""
  return jnp.broadcast_to(luma(image), image.shape)


def luma(image: Image) -> Float[Array, "h w 1"]:
  """Returns how light each pixel is."""
  if _channels(image) == 1:
    return image
  return (image @ jnp.array(_LUMA, image.dtype))[..., None]


def invert(image: Image) -> Image:
  """Returns the negative."""
  return 1 - image


def solarize(image: Image, threshold: ArrayLike) -> Image:
  """Returns the negative of all values that are not below the threshold."""
  return jnp.where(image < threshold, image, 1 - image)


def posterize(image: Image, bits: ArrayLike) -> Image:
  """Keeps the highest bits of 8.

  Args:
    image: the picture.
    bits: how many, 0 to 8.

  >>> float(posterize(jnp.full((1, 1, 1), 200 / 255), 1)[0, 0, 0] * 255)
  128.0
  """
  lost = 8 - jnp.asarray(bits, jnp.int32)
  return ((eight_bit(image) >> lost) << lost) / jnp.float32(_LEVELS - 1)


def autocontrast(image: Image) -> Image:
  """Spreads each channel from 0 to 1; one of a single value stays."""
  least, most = image.min((0, 1)), image.max((0, 1))
  flat = most <= least
  spread = jnp.where(flat, 1, most - least)
  low = jnp.where(flat, 0, least)
  return jnp.clip((image - low) / spread, 0, 1)


def equalize(image: Image) -> Image:
  """Makes all of the 256 levels of each channel about as frequent."""
  levels = eight_bit(image)
  height, width, channels = levels.shape
  of_channel = jnp.arange(channels)
  counts = jnp.zeros((channels, _LEVELS), jnp.int32)
  counts = counts.at[of_channel, levels].add(1)
  greatest = counts[of_channel, levels.max((0, 1))]
  step = (height * width - greatest)[:, None] // (_LEVELS - 1)
  below = jnp.cumsum(counts, axis=1) - counts
  table = (below + step // 2) // jnp.maximum(step, 1)
  table = jnp.where(step > 0, table, jnp.arange(_LEVELS))
  return jnp.clip(table, 0, _LEVELS - 1)[of_channel, levels] / jnp.float32(
    _LEVELS - 1
  )


def eight_bit(image: Image) -> Int[Array, "h w c"]:
  """Returns the nearest of the 256 levels."""
  return jnp.round(jnp.clip(image, 0, 1) * (_LEVELS - 1)).astype(jnp.int32)


def sides(image: Image) -> tuple[int, int]:
  """Returns height and width."""
  return image.shape[0], image.shape[1]


def _channels(image: Image) -> int:
  if image.shape[-1] not in (1, 3):
    raise UserError(
      f"a picture of {image.shape[-1]} channels: augmentation of colours is of"
      " grey (1) or RGB (3) pictures; leave the ops of colour out."
    )
  return image.shape[-1]
