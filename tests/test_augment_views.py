"""Test-time augmentation: means over views, worked out by hand."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jft.augment import geometry, views
from jft.errors import UserError

IMAGES = jnp.asarray(np.random.default_rng(0).random((2, 8, 8, 1), np.float32))


def apply(variables, inputs, *, train=False):
  """Logits that see left from right and top from bottom."""
  flat = inputs.reshape(len(inputs), -1) @ variables
  return {"logits": flat, "features": flat[:, :1], "hidden": inputs}


W = jnp.asarray(np.random.default_rng(1).normal(size=(64, 3)), jnp.float32)


def test_logits_of_a_picture_and_its_mirror_image_are_averaged():
  got = views.averaged(apply, ("flip",), "logits")(W, IMAGES)
  a, b = (apply(W, x)["logits"] for x in (IMAGES, IMAGES[:, :, ::-1]))
  np.testing.assert_allclose(got["logits"], (a + b) / 2, rtol=1e-5)
  np.testing.assert_allclose(got["features"][:, 0], (a + b)[:, 0] / 2, 1e-5)
  assert set(got) == {"logits", "features"}  # a map has its places


def test_probabilities_are_averaged_and_come_back_as_logits():
  got = views.averaged(apply, ("flip",))(W, IMAGES, train=False)
  seen = [apply(W, x)["logits"] for x in (IMAGES, IMAGES[:, :, ::-1])]
  want = np.mean([scipy.special.softmax(x, axis=1) for x in seen], axis=0)
  np.testing.assert_allclose(np.exp(got["logits"]), want, rtol=1e-4)


def test_crops_are_the_corners_and_the_middle():
  whole, *cuts = views.crops(IMAGES)
  assert whole is IMAGES
  assert len(cuts) == 5
  places = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 0)]
  for cut, (top, left) in zip(cuts, places, strict=True):
    want = geometry.resized_crop(IMAGES[1], top, left, 7, 7)
    np.testing.assert_allclose(cut[1], want, atol=1e-6)


def test_training_is_left_alone_and_names_are_checked():
  viewed = views.averaged(apply, ("flip",), "logits")
  same = viewed(W, IMAGES, train=True)
  assert set(same) == {"logits", "features", "hidden"}
  with pytest.raises(UserError, match=r"'flips'.*[Dd]id you mean 'flip'"):
    views.averaged(apply, ("flips",))
  with pytest.raises(UserError, match="mean='median'"):
    views.averaged(apply, ("flip",), "median")
