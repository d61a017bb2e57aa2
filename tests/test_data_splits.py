import itertools

import numpy as np
import pytest

from jft.data import arrays, split
from jft.errors import UserError

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def _source(texts):
  return arrays({"text": texts, "label": [len(t) % 2 for t in texts]}, name="s")


def _texts(part):
  return [part[i]["text"] for i in range(len(part))]


TEXTS = [f"text {i}" for i in range(1000)]


def test_every_example_is_in_one_split_of_about_its_share():
  parts = split(_source(TEXTS), SHARES)
  assert list(parts) == ["train", "validation", "test"]
  together = itertools.chain(*map(_texts, parts.values()))
  assert sorted(together) == sorted(TEXTS)
  sizes = [len(part) for part in parts.values()]
  np.testing.assert_allclose(sizes, [800, 100, 100], atol=45)  # 3.5 sigma
  assert parts["test"].name == "s/test"


def test_growth_and_another_order_move_nothing():
  before = split(_source(TEXTS), SHARES)
  after = split(_source([f"new {i}" for i in range(300)] + TEXTS[::-1]), SHARES)
  for name in SHARES:
    kept = [text for text in _texts(after[name]) if text.startswith("text")]
    assert sorted(kept) == sorted(_texts(before[name]))


def test_duplicates_never_leak_whatever_their_labels():
  source = arrays({"text": TEXTS + TEXTS, "label": [0] * 1000 + [1] * 1000})
  parts = split(source, SHARES)
  sets = [set(_texts(part)) for part in parts.values()]
  assert sum(map(len, sets)) == 1000
  assert sum(map(len, parts.values())) == 2000


def test_a_key_keeps_groups_together():
  source = arrays({"text": TEXTS, "patient": [i % 40 for i in range(1000)]})
  parts = split(source, SHARES, key=lambda example: example["patient"])
  patients = [
    {part[i]["patient"] for i in range(len(part))} for part in parts.values()
  ]
  assert sum(map(len, patients)) == 40


def test_the_first_test_examples_are_these_forever():
  first = ["text 12", "text 15", "text 16", "text 24"]
  assert _texts(split(_source(TEXTS), SHARES)["test"])[:4] == first
  assert _texts(split(_source(TEXTS), SHARES, seed=1)["test"])[:4] != first


@pytest.mark.parametrize(
  "shares", [{"a": 0.5, "b": 0.6}, {"a": 1.2, "b": -0.2}, {}]
)
def test_shares_must_be_positive_and_sum_to_one(shares):
  with pytest.raises(UserError, match="sum to 1"):
    split(_source(TEXTS), shares)


def test_an_empty_split_is_an_error():
  with pytest.raises(UserError, match="'b' got none of the 3 examples of s"):
    split(_source(["x", "y", "z"]), {"a": 0.999, "b": 0.001})
