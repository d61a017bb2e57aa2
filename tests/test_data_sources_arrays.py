import numpy as np
import pytest

from jft.data import arrays
from jft.data.source import Source
from jft.errors import UserError


def test_columns_become_examples():
  source = arrays(
    {"image": np.zeros((3, 2, 2, 1), np.uint8), "label": [2, 0, 1]},
    name="tiny",
    label_names=["a", "b", "c"],
  )
  assert isinstance(source, Source)
  assert (len(source), source.name) == (3, "tiny")
  assert source.label_names == ("a", "b", "c")
  assert source[0]["image"].shape == (2, 2, 1)
  assert source[0]["label"] == 2
  assert source.labels.dtype == np.int32


@pytest.mark.parametrize(
  ("columns", "message"),
  [
    ({"x": [1, 2], "label": [0]}, r"\{'x': 2, 'label': 1\}"),
    ({"x": []}, "is empty"),
    ({}, "of one length"),
    ({"label": [0, 2, 1]}, "example 1 of arrays has label 2.*2 classes"),
    ({"label": [0, 1, -1]}, "example 2 of arrays has label -1"),
    ({"label": [0.0, 1.0]}, "one integer an example, got float64"),
    ({"label": [[0], [1]]}, r"of shape \(2, 1\)"),
  ],
)
def test_what_does_not_fit_is_named(columns, message):
  with pytest.raises(UserError, match=message):
    arrays(columns, label_names=["no", "yes"])
