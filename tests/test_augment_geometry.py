"""Warps and crops where the answer is plain; torchvision's: the tones' file."""

import jax.numpy as jnp
import numpy as np
import pytest

from jft.augment import filters, geometry
from jft.errors import UserError

IMAGE = jnp.asarray(np.random.default_rng(0).random((6, 8, 3), np.float32))
MIDDLE = (4.0, 3.0)


def test_no_change_is_the_picture_bit_for_bit():
  for nearest in (False, True):
    same = geometry.warp(IMAGE, geometry.affine(MIDDLE), nearest=nearest)
    np.testing.assert_array_equal(same, IMAGE)
  np.testing.assert_allclose(
    geometry.resized_crop(IMAGE, 0, 0, 6, 8), IMAGE, atol=1e-6
  )


def test_a_half_turn_is_both_mirror_images():
  turned = geometry.warp(
    IMAGE, geometry.affine(MIDDLE, degrees=180), nearest=True
  )
  np.testing.assert_array_equal(turned, IMAGE[::-1, ::-1])


def test_what_comes_in_from_outside_is_the_fill():
  moved = geometry.warp(
    IMAGE,
    geometry.affine(MIDDLE, translate=(3, 1)),
    fill=jnp.array([0.1, 0.2, 0.3]),
  )
  np.testing.assert_allclose(moved[1:, 3:], IMAGE[:-1, :-3], atol=1e-6)
  np.testing.assert_allclose(moved[0, :, 1], 0.2)
  np.testing.assert_allclose(moved[:, :3, 2], 0.3)


def test_matrices_are_inverted():
  matrix = geometry.affine((3, 5), degrees=20, scale=1.3, shear=(0.2, -0.1))
  product = matrix @ geometry.inverse(matrix)
  np.testing.assert_allclose(product, np.eye(3), atol=1e-5)


def test_corners_go_where_they_are_told():
  corners = jnp.array([[1.0, 0.5], [7.0, 1.0], [6.5, 5.0], [0.5, 6.0]])
  back = geometry.perspective(corners, 8, 6)
  x, y, depth = back @ jnp.vstack([corners.T, jnp.ones(4)])
  np.testing.assert_allclose(x / depth, [0, 8, 8, 0], atol=1e-5)
  np.testing.assert_allclose(y / depth, [0, 0, 6, 6], atol=1e-5)


def test_a_crop_to_a_quarter_enlarges_it():
  block = jnp.zeros((8, 8, 1)).at[2:6, 4:8].set(1.0)
  out = geometry.resized_crop(block, 2, 4, 4, 4)
  np.testing.assert_allclose(out, 1.0, atol=1e-6)


def test_a_blur_keeps_the_mean_inside_and_must_fit():
  point = jnp.zeros((9, 9, 1)).at[4, 4].set(1.0)
  blurred = filters.gaussian_blur(point, 1.0, size=5)
  assert float(blurred.sum()) == pytest.approx(1.0, abs=1e-6)
  np.testing.assert_allclose(blurred, blurred[::-1, ::-1])
  for size in (4, 19):
    with pytest.raises(UserError, match=f"size={size}"):
      filters.gaussian_blur(point, 1.0, size=size)
