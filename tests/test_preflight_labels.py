import numpy as np
import pytest

from jft.preflight.labels import check

NAMES = ("cat", "dog", "eel")


def split(**counts):
  """Labels with so many of each class, by split."""
  return {
    name: np.repeat(np.arange(3), numbers) for name, numbers in counts.items()
  }


def test_sound_labels():
  (found,) = check(split(train=[10, 20, 7], val=[1, 0, 2]), NAMES)
  assert (found.level, found.details["counts"]["val"]["dog"]) == ("ok", 0)
  assert "37 train, 3 val; 3 classes, 7 to 20 training" in found.message


@pytest.mark.parametrize("wrong", [3, -1, 255])
def test_a_label_that_is_no_class(wrong):
  labels = split(train=[9, 9, 9], test=[5, 5, 5])
  labels["test"][[4, 6]] = wrong
  (found,) = check(labels, NAMES)
  assert (found.level, found.details["examples"]) == ("error", [4, 6])
  assert "2 of 15 test labels are none of the 3 classes, which" in found.message
  assert f"(test[4]: {wrong}, test[6]: {wrong})" in found.message


def test_a_class_without_training_examples():
  (found,) = check(split(train=[9, 0, 9], val=[1, 4, 1]), NAMES)
  assert found.level == "error"
  assert "1 of 3 classes have no training example: dog." in found.message
  assert "4 val examples are of them" in found.message
  (found,) = check(split(train=[9, 0, 9], val=[1, 0, 1]), NAMES)
  assert found.level == "error"
  assert "val" not in found.message


@pytest.mark.parametrize(
  ("counts", "rare"),
  [
    ([9, 4, 9], {"dog": 4}),
    ([1000, 1000, 49], {"eel": 49}),
    ([1000, 1000, 50], None),
    ([3, 1, 2], {"dog": 1, "eel": 2, "cat": 3}),
  ],
)
def test_rare_classes(counts, rare):
  (found,) = check(split(train=counts), NAMES)
  assert found.level == ("warning" if rare else "ok")
  if rare:
    assert list(found.details["classes"].items()) == list(rare.items())
