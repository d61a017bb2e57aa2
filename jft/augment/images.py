"""Random parts and mirror images of pictures, on the host, before resizing."""

import math

import numpy as np

from jft.typing import UInt8

_TRIES = 10


def flip(
  image: UInt8[np.ndarray, "h w *c"], draw: np.random.Generator
) -> UInt8[np.ndarray, "h w *c"]:
  """Returns the image or, as often, its mirror image.

  Args:
    image: of any size.
    draw: what decides.
  """
  return image[:, ::-1] if draw.random() < 0.5 else image


def crop(
  image: UInt8[np.ndarray, "h w *c"],
  draw: np.random.Generator,
  *,
  area: tuple[float, float] = (0.08, 1.0),
  ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> UInt8[np.ndarray, "h2 w2 *c"]:
  """Returns a random part of an image, to be squeezed into the model's square.

  Args:
    image: of any size.
    draw: what decides.
    area: the least and the greatest share of the area, drawn evenly.
    ratio: the least and the greatest width / height, evenly in its logarithm.
      Where ten draws do not fit into the image, the middle of it is taken, cut
      to the nearest ratio.

  Source: Szegedy et al., 2015, "Going Deeper with Convolutions"
    (arXiv:1409.4842); torchvision.transforms.RandomResizedCrop.
  """
  height, width = image.shape[:2]
  logs = math.log(ratio[0]), math.log(ratio[1])
  for _ in range(_TRIES):
    pixels = height * width * draw.uniform(*area)
    aspect = math.exp(draw.uniform(*logs))
    w, h = round(math.sqrt(pixels * aspect)), round(math.sqrt(pixels / aspect))
    if 0 < w <= width and 0 < h <= height:
      top = int(draw.integers(height - h + 1))
      left = int(draw.integers(width - w + 1))
      return image[top : top + h, left : left + w]
  w = min(width, max(1, round(height * ratio[1])))
  h = min(height, max(1, round(width / ratio[0])))
  top, left = (height - h) // 2, (width - w) // 2
  return image[top : top + h, left : left + w]


def crop_flip(
  image: UInt8[np.ndarray, "h w *c"], draw: np.random.Generator
) -> UInt8[np.ndarray, "h2 w2 *c"]:
  """Returns a random part of an image, mirrored as often as not."""
  return flip(crop(image, draw), draw)
