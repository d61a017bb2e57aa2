"""Mixup and CutMix: timm's formula, and shares from Beta."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jft import augment
from jft.augment import mixing
from jft.errors import UserError


def batch(rows=512, side=6):
  rng = np.random.default_rng(0)
  return {
    "image": rng.random((rows, side, side, 1), np.float32),
    "label": (np.arange(rows) % 3).astype(np.int32),
    "mask": np.ones(rows, np.float32),
    "id": np.arange(rows, dtype=np.int32),
  }


def mixed(given, mixup=0.0, cutmix=0.0):
  """Mixes by numbers from NumPy: a hash takes long to compile."""
  rows = len(given["id"])
  u = np.random.default_rng(1).random((rows, mixing.DRAWS), np.float32)
  draw = mixing.make_draw(mixup, cutmix)
  shape = given["image"].shape[1:3]
  found = jax.vmap(lambda one: draw(one, shape))(u)
  return mixing.mixed(given, *found, 3)


def shares(before, after):
  """Each example's own share, read off its label; nan of equal ones."""
  rows = np.arange(len(before["label"]))
  other = before["label"][::-1]
  own = np.asarray(after["label"])[rows, before["label"]]
  return np.where(before["label"] == other, np.nan, own)


def test_mixup_is_the_formula_with_shares_from_beta():
  given = batch()
  got = mixed(given, mixup=0.4)
  share = shares(given, got)
  seen = ~np.isnan(share)
  lam = share[seen][:, None, None, None]
  want = lam * given["image"][seen] + (1 - lam) * given["image"][::-1][seen]
  np.testing.assert_allclose(got["image"][seen], want, atol=1e-5)
  np.testing.assert_allclose(np.asarray(got["label"]).sum(1), 1, atol=1e-6)
  lam = share[seen]
  # Beta(a, a) has mean 1/2 and variance 1 / (4 (2 a + 1)).
  assert abs(lam.mean() - 0.5) < 4 * np.sqrt(1 / 7.2 / len(lam))
  assert lam.var() == pytest.approx(1 / (4 * 1.8), rel=0.15)


def test_cutmix_is_a_rectangle_of_the_other_and_its_area_the_share():
  given = batch()
  got = mixed(given, cutmix=1.0)
  own = np.asarray(got["image"]) == given["image"]
  other = np.asarray(got["image"]) == given["image"][::-1]
  assert (own | other).all()
  share = shares(given, got)
  seen = ~np.isnan(share)
  np.testing.assert_allclose(own.mean((1, 2, 3))[seen], share[seen], atol=1e-6)
  taken = ~own[..., 0]
  for mask in taken[:50]:
    rows, columns = mask.any(1), mask.any(0)
    assert mask.sum() == rows.sum() * columns.sum()


@pytest.mark.parametrize(
  ("share", "row", "column", "want"),
  [
    # Worked out by timm's rand_bbox: sides of 4 x 4 pixels around the middle.
    (0.75, 4, 4, (2, 6, 2, 6)),
    (0.75, 0, 7, (0, 2, 5, 8)),
    (0.3, 3, 3, (0, 6, 0, 6)),
  ],
)
def test_a_rectangle_is_timm_s(share, row, column, want):
  kept, mask = mixing.cut((8, 8), share, row, column)
  top, bottom, left, right = want
  expected = np.ones((8, 8))
  expected[top:bottom, left:right] = 0
  np.testing.assert_array_equal(mask, expected)
  assert float(kept) == pytest.approx(expected.mean())


@pytest.mark.slow
def test_with_both_half_is_cut():
  given = batch(2000, 4)
  got = np.asarray(mixed(given, 1.0, 1.0)["image"])
  both = (got == given["image"]) | (got == given["image"][::-1])
  cut = both.all((1, 2, 3)).mean()
  assert abs(cut - 0.5) < 4 * 0.5 / np.sqrt(2000) + 0.01


def test_padding_is_nobody_s_partner():
  given = batch(4)
  given["mask"] = np.array([1, 1, 1, 0], np.float32)
  got = mixed(given, mixup=1.0)
  np.testing.assert_allclose(got["image"][0], given["image"][0], atol=1e-6)
  np.testing.assert_array_equal(got["label"][0], [1, 0, 0])


def test_labels_are_soft_and_hard_ones_are_theirs():
  label, share = jnp.array([2, 0, 1]), jnp.array([1.0, 0.4, 0.3])
  want = [[0, 0, 1], [1, 0, 0], [0, 0.3, 0.7]]
  np.testing.assert_allclose(mixing.mixed_labels(label, share, 3), want)


def test_it_must_mix_something():
  with pytest.raises(UserError, match="one must be above 0"):
    augment.mix(classes=3)
