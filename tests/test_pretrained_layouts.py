"""Layouts: there and back, and clear errors."""

import numpy as np
import pytest

from jft.errors import UserError
from jft.pretrained import layouts
from jft.pretrained.layouts import Entry


@pytest.mark.parametrize(
  ("layout", "shape"),
  [("same", (5,)), ("conv", (4, 3, 2, 5)), ("dense", (4, 3))],
)
def test_to_source_undoes_to_jft(layout, shape):
  x = np.arange(np.prod(shape)).reshape(shape)
  entry = Entry("x", layout)
  back = layouts.to_source(entry, layouts.to_jft(entry, x))
  np.testing.assert_array_equal(back, x)


def test_conv_is_hwio_here_and_oihw_there():
  x = np.zeros((4, 3, 2, 5))
  x[3, 1, 0, 4] = 1
  y = layouts.to_jft(Entry("x", "conv"), x)
  assert y.shape == (2, 5, 3, 4)
  assert y[0, 4, 1, 3] == 1


def test_dense_is_in_out_here():
  y = layouts.to_jft(Entry("x", "dense"), np.array([[1, 2, 3]]))
  assert y.tolist() == [[1], [2], [3]]


def test_another_rank_is_refused_by_name():
  with pytest.raises(UserError, match=r"fc.weight.*2 axes.*\(4, 3, 1\)"):
    layouts.to_jft(Entry("fc.weight", "dense"), np.zeros((4, 3, 1)))


def test_an_unknown_layout_is_refused():
  with pytest.raises(UserError, match="Did you mean 'dense'"):
    layouts.to_source(Entry("x", "dens"), np.zeros((4, 3)))


def test_rotary_rows_go_from_pairs_to_halves_and_back():
  entry = Entry("wq", "dense", rotary=2)
  rows = np.arange(8)[:, None] * np.ones((1, 3))  # two heads of four rows
  made = layouts.to_jft(entry, rows)
  assert made[0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
  np.testing.assert_array_equal(layouts.to_source(entry, made), rows)
  bias = layouts.to_jft(Entry("bq", rotary=1), np.arange(6))
  assert bias.tolist() == [0, 2, 4, 1, 3, 5]
  with pytest.raises(UserError, match=r"wq: the rows of shape \(6, 3\)"):
    layouts.to_jft(entry, rows[:6])
