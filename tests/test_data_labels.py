import types

import numpy as np
import pytest

from jft.data.labels import check_label, encode_labels, labels_of
from jft.errors import UserError

SOURCE = types.SimpleNamespace(name="pets", label_names=("cat", "dog"))


def _encode(values, names=None):
  ids, found = encode_labels(values, range(5, 5 + len(values)), "a.tsv", names)
  return ids.tolist(), found


def test_names_are_sorted():
  assert _encode(["spam", "ham", "spam"]) == ([1, 0, 1], ("ham", "spam"))


def test_integers_are_sorted_as_numbers():
  assert _encode(["10", "2", "1"]) == ([2, 1, 0], ("1", "2", "10"))


def test_given_names_fix_the_order():
  assert _encode(["spam", "ham"], ["spam", "ham"])[0] == [0, 1]


def test_integers_beside_given_words_are_ids():
  assert _encode(["1", "0"], ["negative", "positive"])[0] == [1, 0]


def test_a_split_without_one_class_keeps_the_ids_of_the_given_names():
  assert _encode(["0", "2"], ["0", "1", "2"])[0] == [0, 2]


@pytest.mark.parametrize(
  ("values", "names", "message"),
  [
    (["ham", "spma"], ["ham", "spam"], r"a.tsv:6: label 'spma'.*'spam'"),
    (["0", "7"], ["no", "yes"], r"a.tsv:6: label '7' is none of the 2 classes"),
    (["0.5", "1.25"], None, r"a.tsv: the labels are real numbers"),
  ],
)
def test_unknown_labels_are_named_with_file_and_line(values, names, message):
  with pytest.raises(UserError, match=message):
    _encode(values, names)


@pytest.mark.parametrize(
  ("label", "message"),
  [
    (2, "example 17 of pets has label 2, which is none of 2 classes"),
    (-1, "example 17 of pets has label -1"),
    (None, 'example 17 of pets has no "label"'),
    (0.5, "a label is one integer, got 0.5"),
    ("cat", "a label is one integer, got 'cat'"),
    (np.array([0, 1]), "a label is one integer"),
  ],
)
def test_a_bad_label_is_named_with_its_example(label, message):
  with pytest.raises(UserError, match=message):
    check_label(label, 17, SOURCE)


@pytest.mark.parametrize("label", [1, np.int32(1), np.array(1, np.uint8)])
def test_integers_of_any_type_are_labels(label):
  assert check_label(label, 0, SOURCE) == 1


def test_labels_are_read_from_examples_where_a_source_has_no_column():
  class Two(list):
    name, label_names = "two", None

  assert labels_of(Two([{"label": 3}, {"label": 0}])).tolist() == [3, 0]
