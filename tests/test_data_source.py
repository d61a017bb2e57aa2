import itertools

import numpy as np
import pytest

from jft.data import arrays, subset, take
from jft.data.source import Source
from jft.errors import UserError

LABELS = np.array([0] * 60 + [1] * 30 + [2] * 10)
SOURCE = arrays(
  {"x": np.arange(100), "label": LABELS}, name="s", label_names=list("abc")
)


def test_a_subset_reads_through_and_keeps_the_names():
  part = subset(SOURCE, [99, 0, 70], "part")
  assert isinstance(part, Source)
  assert [int(part[i]["x"]) for i in range(len(part))] == [99, 0, 70]
  assert part.labels.tolist() == [2, 0, 1]
  assert part.label_names == ("a", "b", "c")
  assert subset(part, [1])[0]["x"] == 0


@pytest.mark.parametrize("bad", [[100], [-1]])
def test_an_index_outside_is_an_error(bad):
  with pytest.raises(UserError, match="outside s, which has 100 examples"):
    subset(SOURCE, bad)


def test_an_empty_subset_is_an_error():
  with pytest.raises(UserError, match="at least one index"):
    subset(SOURCE, [])


@pytest.mark.parametrize(
  ("n", "counts"), [(3, [1, 1, 1]), (30, [10, 10, 10]), (50, [20, 20, 10])]
)
def test_take_is_as_even_over_classes_as_can_be(n, counts):
  assert np.bincount(take(SOURCE, n, seed=0).labels).tolist() == counts


def test_take_is_nested_and_depends_on_the_seed():
  picks = [set(take(SOURCE, n, seed=4).indices.tolist()) for n in range(1, 40)]
  assert all(small < large for small, large in itertools.pairwise(picks))
  assert picks[9] != set(take(SOURCE, 10, seed=5).indices.tolist())


def test_take_without_stratify_needs_no_labels():
  plain = arrays({"x": np.arange(10)})
  assert len(take(plain, 4, seed=0, stratify=False)) == 4
  with pytest.raises(UserError, match='no "label"'):
    take(plain, 4, seed=0)


@pytest.mark.parametrize("n", [0, 101])
def test_take_of_too_many_or_none_is_an_error(n):
  with pytest.raises(UserError, match=f"from 1 to 100.*got {n}"):
    take(SOURCE, n, seed=0)
