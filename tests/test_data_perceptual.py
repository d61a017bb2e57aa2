import io

import numpy as np
import pytest
from PIL import Image

from jft.data.perceptual import Looks, look, near_pairs


def looks(images):
  hashes, thumbnails = zip(*map(look, images), strict=True)
  return Looks(np.array(hashes, np.uint64), np.stack(thumbnails))


def photo(seed):
  """A smooth random picture, as photos are."""
  rng = np.random.default_rng(seed)
  rough = rng.integers(0, 256, (6, 6, 3), np.uint8)
  smooth = Image.fromarray(rough).resize((120, 90), Image.Resampling.BICUBIC)
  return np.clip(np.asarray(smooth) * 0.6 + 40, 0, 255).astype(np.uint8)


def jpeg(image, quality):
  file = io.BytesIO()
  Image.fromarray(image).save(file, "JPEG", quality=quality)
  return np.asarray(Image.open(file).convert("RGB"))


def resized(image, width, height):
  return np.asarray(Image.fromarray(image).resize((width, height)))


VARIANTS = {
  "jpeg": lambda x: jpeg(x, 40),
  "smaller": lambda x: resized(x, 60, 45),
  "squeezed": lambda x: resized(x, 128, 64),
  "larger": lambda x: resized(x, 300, 225),
  "brighter": lambda x: x + 25,
  "darker": lambda x: (x * 0.6).astype(np.uint8),
  "grey": lambda x: np.asarray(Image.fromarray(x).convert("L")),
}


def test_a_hash_by_hand():
  # Rows of nine, brightness rising where a bit is 1: row 0 is 10101010.
  row = np.array([0, 9, 0, 9, 0, 9, 0, 9, 0], np.uint8)
  image = np.tile(row, (8, 1))
  assert look(image)[0] == int("10101010" * 8, 2)
  image[0] = np.arange(9)
  assert look(image)[0] == int("1" * 8 + "10101010" * 7, 2)
  assert look(np.full((5, 7, 3), 99, np.uint8))[0] == 0


@pytest.mark.parametrize("change", VARIANTS)
def test_a_changed_picture_is_found_among_others(change):
  others = [photo(seed) for seed in range(1, 60)]
  changed = [VARIANTS[change](photo(seed)) for seed in (7, 0)]
  found = near_pairs(looks(changed), looks([*others, photo(0)]))
  assert [(i, j) for i, j, _ in found] == [(0, 6), (1, 59)]
  assert min(score for _, _, score in found) > 0.98


def test_other_pictures_are_not():
  ours, theirs = (
    looks([photo(seed) for seed in range(first, first + 100)])
    for first in (0, 100)
  )
  assert near_pairs(ours, theirs) == []


def test_blank_pictures_are_like_none():
  blank = np.full((40, 40, 3), 255, np.uint8)
  assert near_pairs(looks([blank]), looks([blank, blank - 3])) == []


def test_the_hash_alone_is_not_enough():
  row, column = np.mgrid[:64, :64]
  a, b = 3 * row + column, 3 * column + row  # Both rise everywhere.
  a, b = a.astype(np.uint8)[:60, :60], b.astype(np.uint8)[:60, :60]
  assert looks([a]).hashes == looks([b]).hashes == 2**64 - 1
  assert near_pairs(looks([a]), looks([b])) == []
