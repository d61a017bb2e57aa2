"""Back to a source's names: joined from parts, in the source's shapes."""

import numpy as np
import pytest

from jft.errors import UserError
from jft.pretrained import export, layouts
from jft.pretrained.layouts import Entry, Part, View

QKV = {
  f"params/attention/{name}/kernel": Entry("qkv.weight", "dense", Part(i, 3))
  for i, name in enumerate(("query", "key", "value"))
}


def test_parts_are_taken_and_joined_again():
  whole = np.arange(3 * 4 * 5, dtype=np.float32).reshape(12, 5)
  taken = {name: layouts.to_jft(entry, whole) for name, entry in QKV.items()}
  np.testing.assert_array_equal(
    taken["params/attention/key/kernel"], whole[4:8].T
  )
  back = export.to_source(taken, QKV)
  np.testing.assert_array_equal(back["qkv.weight"], whole)


def test_a_missing_part_is_an_error():
  some = {"params/attention/query/kernel": np.zeros((5, 4), np.float32)}
  with pytest.raises(UserError, match="joined from 3 variables, got 1"):
    export.to_source(some, QKV)


def test_parts_must_be_equal():
  entry = QKV["params/attention/key/kernel"]
  with pytest.raises(UserError, match="cannot be cut into 3 equal parts"):
    layouts.to_jft(entry, np.zeros((13, 5), np.float32))


def test_a_view_goes_there_and_back():
  entry = Entry("query/kernel", view=View((6, 2, 3), (6, 6)))
  array = np.arange(36, dtype=np.float32).reshape(6, 2, 3)
  ours = layouts.to_jft(entry, array)
  assert ours.shape == (6, 6)
  np.testing.assert_array_equal(layouts.to_source(entry, ours), array)
  with pytest.raises(UserError, match=r"expected shape \(6, 2, 3\)"):
    layouts.to_jft(entry, np.zeros((6, 3, 2), np.float32))
