"""What is drawn: probabilities and ranges, over thousands of keys."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jft.augment import boxes, ops
from jft.errors import UserError

N = 4000


def draws(count):
  return jnp.asarray(np.random.default_rng(3).random((N, count), np.float32))


def over(op, image):
  """An op's picture, drawn so many times."""
  run = jax.jit(jax.vmap(op.apply, (0, None)))
  return np.asarray(run(draws(op.draws), image))


def share(found, p):
  """Is it as often as p, within four deviations?"""
  return abs(np.mean(found) - p) < 4 * math.sqrt(p * (1 - p) / N)


def even(found, low, high):
  """Has it the mean and the deviation of an even draw, and its bounds?"""
  spread = (high - low) / math.sqrt(12)
  return (
    low <= found.min() <= found.max() <= high
    and abs(found.mean() - (low + high) / 2) < 4 * spread / math.sqrt(N)
    and abs(found.std() / spread - 1) < 0.05
  )


@pytest.mark.parametrize(
  ("op", "axis"), [(ops.flip(0.3), 1), (ops.flip_vertical(0.3), 0)]
)
def test_so_many_are_mirrored(op, axis):
  image = jnp.arange(6.0).reshape(2, 3, 1)
  got = over(op, image)
  mirrored = (got == np.flip(image, axis)).all((1, 2, 3))
  assert ((got == np.asarray(image)).all((1, 2, 3)) ^ mirrored).all()
  assert share(mirrored, 0.3)


def test_factors_are_even():
  grey = jnp.full((1, 1, 1), 0.5)
  op = ops.color_jitter(0.4, 0.0, 0.0, 0.0)
  assert even(over(op, grey).ravel() / 0.5, 0.6, 1.4)


def test_places_of_a_padded_crop_are_even():
  y, x = np.mgrid[:6, :7]
  image = jnp.asarray(np.stack([y, x], -1), jnp.float32)
  got = over(ops.pad_crop(2, "edge"), image)[:, 2, 3]
  for found, inner in zip(got.T, (2, 3), strict=True):
    moved = found.astype(int) - inner
    assert set(moved.tolist()) == {-2, -1, 0, 1, 2}
    counts = np.bincount(moved + 2)
    chi2 = ((counts - N / 5) ** 2 / (N / 5)).sum()
    assert chi2 < 4 + 4 * math.sqrt(8)


def test_boxes_have_the_area_and_ratio_that_were_asked():
  draw = functools.partial(
    boxes.crop, shape=(400, 600), area=(0.1, 0.2), ratio=(3 / 4, 4 / 3)
  )
  top, left, height, width = map(
    np.asarray, jax.jit(jax.vmap(lambda u: draw(u)))(draws(boxes.DRAWS))
  )
  assert even(height * width / (400 * 600), 0.0985, 0.2015)
  assert even(np.log(width / height), -0.293, 0.293)
  assert even(top / (400 - height), -1e-6, 1 + 1e-6)
  assert even(left / (600 - width), -1e-6, 1 + 1e-6)


def test_where_nothing_fits_the_middle_is_cut_to_the_nearest_ratio():
  got = boxes.crop(draws(boxes.DRAWS)[0], (10, 100), (0.9, 1.0), (3 / 4, 4 / 3))
  assert [int(x) for x in got] == [0, (100 - 13) // 2, 10, 13]


def test_a_resized_crop_takes_from_the_picture_alone():
  image = jnp.full((8, 8, 1), 0.7)
  np.testing.assert_allclose(
    over(ops.random_resized_crop(), image), 0.7, atol=1e-5
  )


def test_erasing_paints_its_share():
  image = jnp.zeros((40, 40, 3))
  got = over(ops.erasing(0.25, (0.1, 0.2), fill=(0.1, 0.2, 0.3)), image)
  painted = (got != 0).any((1, 2, 3))
  assert share(painted, 0.25)
  assert set(np.unique(got[painted, ..., 1])) == {0, np.float32(0.2)}
  area = (got[painted, ..., 0] > 0).mean((1, 2))
  assert area.min() > 0.08
  assert area.max() < 0.22


def test_turns_reach_their_bounds_and_no_further():
  # A pixel right of the middle: its place tells the angle.
  y, x = np.mgrid[:41, :41] - 20
  lamp = jnp.asarray(np.exp(-((x - 15) ** 2 + y**2) / 8.0), jnp.float32)
  got = over(ops.rotate(30.0), lamp[..., None])[..., 0]
  angle = np.degrees(np.arctan2((got * y).sum((1, 2)), (got * x).sum((1, 2))))
  assert even(angle, -30.2, 30.2)


@pytest.mark.parametrize(
  ("op", "p"),
  [
    (ops.perspective(0.5, 0.4), 0.4),
    (ops.gaussian_blur(0.5), 0.5),
    (ops.sharpness(0.6), 0.6),
    (ops.solarize(0.2, 0.3), 0.2),
    (ops.posterize(0.2), 0.2),
    (ops.invert(0.1), 0.1),
    (ops.grayscale(0.1), 0.1),
  ],
)
def test_it_happens_as_often_as_it_is_told(op, p):
  image = jnp.asarray(np.random.default_rng(1).random((5, 5, 3), np.float32))
  changed = (over(op, image) != np.asarray(image)).any((1, 2, 3))
  assert share(changed, p)


def test_a_probability_is_one():
  with pytest.raises(UserError, match=r"p=1\.5"):
    ops.flip(1.5)
