"""Changes of tone, filters and geometry are torchvision's, recorded."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import augment_cases as golden

from jft.augment import tone
from jft.errors import UserError

# The records are in steps of 1 / 65535; torch's grid of a warp is rounded.
TOLERANCE = 1e-4


@functools.cache
def ours():
  """All cases in one program, of the picture and of its grey form."""
  cases = golden.cases()

  def every(image):
    return {name: change(image) for name, change in cases.items()}

  image = np.float32(golden.picture() / 255)
  return jax.device_get(jax.jit(every)(image))


@functools.cache
def recorded():
  return dict(np.load(golden.FILE))


@pytest.mark.parametrize("name", golden.cases())
def test_it_is_torchvision_s(name):
  want = np.float32(recorded()[name]) / 65535
  np.testing.assert_allclose(ours()[name], want, atol=TOLERANCE)


def test_factors_of_one_change_nothing():
  image = jnp.asarray(np.float32(golden.picture() / 255))
  for change in (tone.brightness, tone.contrast, tone.saturation):
    np.testing.assert_allclose(change(image, 1.0), image, atol=1e-7)
  np.testing.assert_allclose(tone.hue(image, 0.0), image, atol=1e-6)


def test_a_whole_turn_of_the_hues_goes_red_green_blue_red():
  red = jnp.array([[[1.0, 0.0, 0.0]]])
  turned = [tone.hue(red, third / 3)[0, 0].tolist() for third in (1, 2, 3)]
  want = [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
  np.testing.assert_allclose(turned, want, atol=1e-5)


def test_grey_pictures_have_tones_and_no_colours():
  grey = jnp.linspace(0, 1, 12).reshape(3, 4, 1)
  np.testing.assert_array_equal(tone.hue(grey, 0.3), grey)
  np.testing.assert_allclose(tone.saturation(grey, 0.2), grey, atol=1e-7)
  np.testing.assert_array_equal(tone.grayscale(grey), grey)
  np.testing.assert_allclose(tone.brightness(grey, 0.5), grey / 2)
  assert tone.equalize(grey).shape == grey.shape


def test_other_channels_are_refused_by_name():
  with pytest.raises(UserError, match="a picture of 4 channels"):
    tone.luma(jnp.zeros((2, 2, 4)))


def test_one_colour_alone_is_left_as_it_is():
  flat = jnp.full((3, 3, 3), 0.4)
  np.testing.assert_allclose(tone.autocontrast(flat), flat)
  np.testing.assert_allclose(tone.equalize(flat), flat, atol=1e-7)
