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
