"""Changes of one picture, as jft makes them, by the original's name and values.

The picture is a part of a photograph that comes with scikit-learn.
"""

import functools
import math
import pathlib

import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_sample_image

from jft.augment import filters, geometry, policies, tone

FILE = pathlib.Path(__file__).parent / "augment.npz"
HEIGHT, WIDTH = 24, 20
# No place falls between two pixels, where rounding would decide.
CORNERS = [[2.2, 3.1], [17.3, 1.4], [18.7, 21.2], [0.4, 20.6]]
ANGLES = 10.0, -15.0
# What the original counts in 8 bits; the others are compared in floats.
EIGHT_BIT = ("solarize", "posterize", "equalize")


@functools.cache
def picture():
  """UInt8[24 20 3] of a flower."""
  return load_sample_image("flower.jpg")[90:330:10, 200:400:10].copy()


def tangents():
  return tuple(math.tan(math.radians(x)) for x in ANGLES)


def cases(height=HEIGHT, width=WIDTH):
  """{name: Float["h w c"] -> Float["h w c"]}, for a picture of this size."""
  middle = width / 2, height / 2
  corners = jnp.asarray(CORNERS, jnp.float32)
  corners = corners * jnp.array([(width - 1) / 19, (height - 1) / 23])
  made = {
    "brightness": lambda x: tone.brightness(x, 1.4),
    "contrast": lambda x: tone.contrast(x, 1.7),
    "contrast_low": lambda x: tone.contrast(x, 0.3),
    "saturation": lambda x: tone.saturation(x, 0.3),
    "hue": lambda x: tone.hue(x, 0.2),
    "hue_back": lambda x: tone.hue(x, -0.4),
    "grayscale": tone.grayscale,
    "invert": tone.invert,
    "solarize": lambda x: tone.solarize(x, 128 / 255),
    "posterize": lambda x: tone.posterize(x, 3),
    "autocontrast": tone.autocontrast,
    "equalize": tone.equalize,
    "sharpness": lambda x: filters.sharpness(x, 1.9),
    "sharpness_low": lambda x: filters.sharpness(x, 0.2),
    "gaussian_blur": lambda x: filters.gaussian_blur(x, 1.7, size=9),
    "resized_crop": lambda x: geometry.resized_crop(
      x, height // 8, width // 10, height // 3, width * 3 // 4
    ),
  }
  for kind in ("bilinear", "nearest"):
    warp = functools.partial(geometry.warp, nearest=kind == "nearest")
    made |= {
      f"rotate_{kind}": lambda x, warp=warp: warp(
        x, geometry.affine(middle, degrees=-30)
      ),
      f"affine_{kind}": lambda x, warp=warp: warp(
        x,
        geometry.affine(
          middle,
          degrees=20,
          translate=(3, -2),
          scale=1.2,
          shear=tangents(),
        ),
      ),
      f"perspective_{kind}": lambda x, warp=warp: warp(
        x, geometry.perspective(corners, width - 1, height - 1)
      ),
    }
  return made


def corners_of(height, width):
  """The four corners, before and after, as torchvision takes them."""
  start = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
  scale = np.array([(width - 1) / 19, (height - 1) / 23])
  return start, (np.array(CORNERS) * scale).tolist()


def kinds(height=HEIGHT, width=WIDTH):
  """{kind: its amount at step 19 of 30, where no place lies between pixels}."""
  space = policies.rand_space((height, width))
  return dict(zip(space.kinds, space.strengths[:, 19].tolist(), strict=True))
