import numpy as np
import pytest

from jft.data import make_image_encode, to_float
from jft.errors import UserError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Y, X = np.mgrid[0:37, 0:53]
IMAGE = np.stack(
  [(7 * Y + 3 * X) % 256, (X * X + Y) % 256, (5 * Y * X) % 256], -1
).astype(np.uint8)


# Literals: torchvision 0.28 (Resize, CenterCrop, ToTensor, Normalize) on the
# same image, with Pillow 13; they agree to the last bit.
@pytest.mark.parametrize(
  ("options", "corner", "middle", "total"),
  [
    (
      {"crop_pct": 16 / 18},
      [-1.3472901582717896, -0.5301119685173035, 0.23477131128311157],
      [1.3584210872650146, -0.28501397371292114, 0.6182137131690979],
      206.6137888371013,
    ),
    (
      {"resize": "bicubic"},
      [-1.9637812376022339, -1.983193278312683, -1.7347276210784912],
      [1.4954191446304321, -0.004901949781924486, 0.49620935320854187],
      93.06844915496185,
    ),
  ],
)
def test_torchvision_gives_the_same(options, corner, middle, total):
  got = to_float(IMAGE, 16, MEAN, STD, **options)
  assert got.shape == (16, 16, 3)
  assert got.dtype == np.float32
  np.testing.assert_allclose(got[0, 0], corner, rtol=1e-6)
  np.testing.assert_allclose(got[7, 9], middle, rtol=1e-5)
  np.testing.assert_allclose(got.sum(dtype=np.float64), total, rtol=1e-6)


def test_an_image_of_the_right_size_is_only_scaled():
  square = IMAGE[:32, :32]
  got = to_float(square, 32, (0.5,) * 3, (0.5,) * 3)
  np.testing.assert_allclose(got, square / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (9, 7, 2)])
def test_grey_is_repeated_over_three_channels(shape):
  grey = np.full(shape, 200, np.uint8)
  got = to_float(grey, 4, (0, 0, 0), (1, 1, 1))
  np.testing.assert_allclose(got, np.full((4, 4, 3), 200 / 255), rtol=1e-6)


def test_rgb_becomes_luma():
  red = np.zeros((4, 4, 3), np.uint8)
  red[..., 0] = 255
  got = to_float(red, 4, (0,), (1,), channels=1)
  np.testing.assert_allclose(got, np.full((4, 4, 1), 76 / 255), rtol=1e-6)


def test_alpha_is_dropped():
  rgba = np.dstack([IMAGE, np.full(IMAGE.shape[:2], 9, np.uint8)])
  np.testing.assert_array_equal(
    to_float(rgba, 16, MEAN, STD), to_float(IMAGE, 16, MEAN, STD)
  )


@pytest.mark.parametrize(
  ("image", "options", "message"),
  [
    (IMAGE.astype(np.float32), {}, "float32 of shape"),
    (IMAGE[None], {}, r"uint8 of shape \(1, 37, 53, 3\)"),
    (IMAGE, {"resize": "bicubik"}, "Did you mean 'bicubic'"),
    (IMAGE, {"channels": 1}, "each of 1 channels"),
    (IMAGE, {"crop_pct": 1.5}, "got 1.5"),
  ],
)
def test_what_does_not_fit_is_named(image, options, message):
  with pytest.raises(UserError, match=message):
    to_float(image, 16, MEAN, STD, **options)


def test_make_image_encode_reads_an_example():
  encode = make_image_encode(16, MEAN, STD, crop_pct=0.9)
  got = encode({"image": IMAGE, "label": 3})
  assert list(got) == ["image"]
  np.testing.assert_array_equal(
    got["image"], to_float(IMAGE, 16, MEAN, STD, crop_pct=0.9)
  )
