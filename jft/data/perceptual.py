"""Pictures that look the same: a 64-bit hash to find them, pixels to be sure.

The hash says for 8 x 8 places whether brightness rises to the right, so a
picture keeps it through another size, compression, brightness or contrast.
Small and simple pictures share it by chance: two count as the same only if
their thumbnails agree too.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from jft.typing import UInt8

DISTANCE = 10
"""Bits in which the hashes of one picture may differ."""
CORRELATION = 0.98
"""Of two thumbnails of one picture, at least."""
_SIDE = 16


@dataclass(frozen=True, eq=False)
class Looks:
  """What pictures look like.

  Attributes:
    hashes: UInt64[n].
    thumbnails: UInt8[n 256], 16 x 16 grey.
  """

  hashes: np.ndarray
  thumbnails: np.ndarray


def look(image: UInt8[np.ndarray, "h w *c"]) -> tuple[int, np.ndarray]:
  """Returns an image's 64-bit hash and its thumbnail, UInt8[256].

  Source: Krawetz, "Kind of Like That" (2013), the difference hash, as
    `imagehash.dhash`: rows of 9 grey pixels, the first bit the highest.

  >>> rising = np.tile(np.arange(0, 90, 10, dtype=np.uint8), (8, 1))
  >>> look(rising)[0] == 2**64 - 1, look(rising[:, ::-1])[0]
  (True, 0)
  """
  grey = _grey(image)
  small = np.asarray(_resized(grey, 9, 8))
  bits = np.packbits(small[:, 1:] > small[:, :-1])
  return (
    int.from_bytes(bits.tobytes(), "big"),
    np.asarray(_resized(grey, _SIDE, _SIDE)).ravel(),
  )


def near_pairs(
  ours: Looks,
  theirs: Looks,
  distance: int = DISTANCE,
  correlation: float = CORRELATION,
) -> list[tuple[int, int, float]]:
  """Returns (our index, their index, correlation): the best match of each.

  Compares every hash with every other, a nanosecond each: 10,000 with 100,000
  take a second. A blank picture, which is like any other, matches none.
  """
  pairs = []
  for i, hashed in enumerate(ours.hashes):
    apart = np.bitwise_count(theirs.hashes ^ hashed)
    near = np.flatnonzero(apart <= distance)
    if not len(near):
      continue
    mine = _standard(ours.thumbnails[i : i + 1])[0]
    scores = _standard(theirs.thumbnails[near]) @ mine
    best = int(np.argmax(scores))
    if scores[best] >= correlation:
      pairs.append((i, int(near[best]), float(scores[best])))
  return pairs


def _standard(thumbnails: np.ndarray) -> np.ndarray:
  """Centred and of length 1, so that a product is a correlation; blank: 0."""
  values = thumbnails.astype(np.float32)
  values -= values.mean(1, keepdims=True)
  norm = np.linalg.norm(values, axis=1, keepdims=True)
  return values / np.where(norm < _SIDE, np.inf, norm)


def _grey(image: np.ndarray) -> Image.Image:
  if image.ndim == 3 and image.shape[2] == 1:
    image = image[..., 0]
  return Image.fromarray(image).convert("L")


def _resized(image: Image.Image, width: int, height: int) -> Image.Image:
  return image.resize((width, height), Image.Resampling.LANCZOS)
