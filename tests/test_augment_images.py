"""Random parts of pictures: what they must be on average, and by hand."""

import math

import numpy as np
import pytest

from jft import augment, data
from jft.rng import generator

Y, X = np.mgrid[0:40, 0:60]
IMAGE = np.stack([Y, X, 0 * X], -1).astype(np.uint8)


def parts(n, **options):
  """(height, width, top, left) of n crops of IMAGE, read off its values."""
  found = (
    augment.crop(IMAGE, generator(0, "t", i), **options) for i in range(n)
  )
  return np.array([(*p.shape[:2], *p[0, 0, :2]) for p in found])


def test_a_crop_of_one_area_and_ratio_is_known_but_for_its_place():
  # 40 x 60 pixels, a quarter of them, square: a side of sqrt(600) = 24.49.
  got = parts(4000, area=(0.25, 0.25), ratio=(1.0, 1.0))
  assert set(map(tuple, got[:, :2])) == {(24, 24)}
  for column, places in ((2, 40 - 24 + 1), (3, 60 - 24 + 1)):
    counts = np.bincount(got[:, column], minlength=places)
    assert len(counts) == places  # every place, and none outside
    mean = 4000 / places
    # Pearson's statistic has mean places - 1 and variance 2 (places - 1).
    chi2 = ((counts - mean) ** 2 / mean).sum()
    assert abs(chi2 - (places - 1)) < 4 * math.sqrt(2 * (places - 1))


def test_area_and_ratio_are_even_where_all_draws_fit():
  got = parts(4000, area=(0.1, 0.2)).astype(float)
  share = got[:, 0] * got[:, 1] / (40 * 60)
  aspect = np.log(got[:, 1] / got[:, 0])
  # An even draw over [a, b] has mean (a + b) / 2 and deviation (b - a) / √12.
  assert abs(share.mean() - 0.15) < 4 * 0.1 / math.sqrt(12 * 4000) + 1e-3
  assert abs(share.std() - 0.1 / math.sqrt(12)) < 2e-3
  spread = 2 * math.log(4 / 3) / math.sqrt(12)
  assert abs(aspect.mean()) < 4 * spread / math.sqrt(4000) + 1e-2
  assert abs(aspect.std() - spread) < 1e-2


def test_where_nothing_fits_the_middle_is_cut_to_the_nearest_ratio():
  # 90 to 100 % of 10 x 100 pixels at these ratios is higher than 10.
  line = np.arange(100, dtype=np.uint8) + np.zeros((10, 1), np.uint8)
  got = augment.crop(line, generator(0, "t"), area=(0.9, 1.0))
  assert got.shape == (10, 13)  # 10 * 4 / 3
  assert got[0, 0] == (100 - 13) // 2
  assert augment.crop(line.T, generator(0, "t"), area=(0.9, 1.0)).shape == (
    13,
    10,
  )


def test_half_of_the_pictures_are_mirrored():
  mirrored = [
    bool(augment.flip(IMAGE, generator(0, "t", i))[0, 0, 1])
    for i in range(4000)
  ]
  assert abs(np.mean(mirrored) - 0.5) < 4 * 0.5 / math.sqrt(4000)
  both = {augment.flip(IMAGE, generator(0, "t", i)).tobytes() for i in range(9)}
  assert both == {IMAGE.tobytes(), IMAGE[:, ::-1].tobytes()}


# --- in the loader -----------------------------------------------------------


def loader(seed=0, batch_size=4, **reading):
  rng = np.random.default_rng(0)
  source = data.arrays(
    {
      "image": rng.integers(0, 256, (11, 20, 30, 3), np.uint8),
      "label": np.arange(11) % 2,
    },
    label_names=("a", "b"),
  )
  encode = data.make_image_encode(8, (0.5,) * 3, (0.5,) * 3)
  return data.batches(
    source,
    batch_size,
    encode,
    seed=seed,
    augment=augment.crop_flip,
    **reading,
  )


def by_id(batches, size):
  """{(epoch, id): pixels} of an epoch and a half."""
  found = {}
  for step in range(16 // size):
    batch = batches.batch_at(step)
    for row, i in enumerate(batch["id"].tolist()):
      epoch = (step * size + row) // 11
      found[epoch, i] = batch["image"][row].tobytes()
  return found


def test_an_example_is_the_same_in_any_batch_on_any_thread_and_process():
  whole = by_id(loader(), 4)
  other = by_id(loader(batch_size=2, workers=3), 2)
  assert all(whole[key] == other[key] for key in whole)
  halves = [loader(process_index=i, process_count=2) for i in range(2)]
  joined = np.concatenate([half.batch_at(3)["image"] for half in halves])
  np.testing.assert_array_equal(joined, loader().batch_at(3)["image"])


def test_every_epoch_and_every_seed_draws_anew():
  found = by_id(loader(), 4)
  again = [i for epoch, i in found if epoch == 1]
  assert again
  assert all(found[0, i] != found[1, i] for i in again)
  other = by_id(loader(seed=1), 4)
  assert all(found[key] != other[key] for key in found.keys() & other.keys())


def test_a_resume_sees_the_same_bits():
  straight = list(loader().from_step(0, until=9))
  resumed = list(loader().from_step(5, until=9))
  skipped = list(loader().skip(5).from_step(0, until=4))
  for a, b, c in zip(straight[5:], resumed, skipped, strict=True):
    assert a["image"].tobytes() == b["image"].tobytes() == c["image"].tobytes()


def test_evaluation_is_never_augmented_and_texts_cannot_be():
  batches = loader()
  encode = data.make_image_encode(8, (0.5,) * 3, (0.5,) * 3)
  plain = data.eval_batches(batches.source, 4, encode)
  again = data.eval_batches(batches.source, 4, encode)
  np.testing.assert_array_equal(
    plain.batch_at(0)["image"], again.batch_at(0)["image"]
  )


@pytest.mark.parametrize("grey", [(20, 30), (20, 30, 1)])
def test_grey_images_are_cut_too(grey):
  got = augment.crop_flip(np.zeros(grey, np.uint8), generator(0, "t"))
  assert got.ndim == len(grey)
