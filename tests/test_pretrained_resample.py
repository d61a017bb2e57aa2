"""Position embeddings for another grid: timm's numbers."""

import pathlib

import numpy as np
import pytest
from golden import vit_cases

from jft.errors import UserError
from jft.pretrained.resample import resample_position

CASES = vit_cases.positions()
GOLDEN = pathlib.Path(vit_cases.__file__).with_name("vit_positions.npz")


@pytest.mark.parametrize("name", CASES)
def test_the_result_is_timms(name):
  array, new, prefix = CASES[name]
  with np.load(GOLDEN) as file:
    want = file[name]
  got = resample_position(array, (1, prefix + new * new, 2), prefix)
  assert got.dtype == np.float32
  assert np.abs(got - want).max() < 1e-5 * np.abs(want).max()


def test_the_same_grid_changes_nothing():
  array, new, prefix = CASES["7_7_1"]
  got = resample_position(array, (1, prefix + new * new, 2), prefix)
  np.testing.assert_array_equal(got, array)


def test_a_constant_stays_and_so_does_what_stands_before():
  array = np.full((1, 2 + 9, 1), 3.0, np.float16)
  array[0, :2, 0] = 5, 7
  got = resample_position(array, (1, 2 + 49, 1), 2)
  assert got.dtype == np.float16
  assert got[0, :2, 0].tolist() == [5, 7]
  np.testing.assert_allclose(got[0, 2:], 3, rtol=1e-3)


@pytest.mark.parametrize(
  ("shape", "target", "message"),
  [
    ((1, 1 + 8, 2), (1, 1 + 16, 2), r"8 positions .* no square"),
    ((1, 1 + 9, 2), (1, 1 + 15, 2), "15 positions"),
    ((1, 1 + 9, 2), (1, 1 + 16, 3), "width 2 cannot become 3"),
    ((1, 0, 2), (1, 1 + 16, 2), "no square"),
  ],
)
def test_what_cannot_be_resampled_is_refused(shape, target, message):
  with pytest.raises(UserError, match=message):
    resample_position(np.zeros(shape, np.float32), target)
