import numpy as np
import pytest

from jft import tasks
from jft.preflight import numbers, tags

GOOD = np.linspace(0, 5, 11)


def check(train, val, **options):
  known = tasks.regression(**options).expected(train, 0)
  return numbers.check({"train": train, "val": val}, known)


def test_targets_that_can_be_learnt():
  (found,) = check(GOOD, GOOD[2:5])
  assert found.level == "ok"
  assert found.message.startswith(
    "11 train, 3 val; targets from 0 to 5, mean 2"
  )


@pytest.mark.parametrize(
  ("train", "val", "level", "message"),
  [
    (
      GOOD * 0 + 3,
      GOOD,
      "error",
      "all 11 train targets are 3: there is nothing",
    ),
    (GOOD, GOOD * 0, "warning", "all 11 val targets are 0: their correlation"),
    (
      GOOD,
      GOOD + 3,
      "note",
      "targets beyond those of training (0 to 5): 6 val",
    ),
    (GOOD * 1e3, GOOD * 1e3, "warning", "Give task.target_range=(0, 5000)"),
  ],
)
def test_targets_that_are_odd(train, val, level, message):
  found = check(train, val)[-1]
  assert found.level == level
  assert message in found.message


def test_a_range_scales_large_targets():
  (found,) = check(GOOD * 1e3, GOOD * 1e3, target_range=(0, 5000))
  assert found.level == "ok"


NAMES = ("B-loc", "B-per", "I-loc", "O")


def test_spans_of_every_type():
  labels = np.array([0, 2, 1, 1, 1, 1, 1, 3, 0, 0, 0])
  (found,) = tags.check({"train": labels, "val": labels[:3]}, NAMES)
  assert (found.level, found.details["words"]["train"]) == (
    "ok",
    {"loc": 5, "per": 5},
  )
  assert "11 train, 3 val words; 2 types of spans, 5 to 5" in found.message


@pytest.mark.parametrize(
  ("labels", "names", "level", "message"),
  [
    ([0] * 9 + [1], NAMES, "warning", "few training words are of per (1)"),
    ([0] * 9, NAMES, "error", "few training words are of per (0)"),
    ([0, 0], ("O",), "error", "every word's tag is O"),
  ],
)
def test_spans_that_are_not_there(labels, names, level, message):
  (found,) = tags.check({"train": np.array(labels)}, names)
  assert found.level == level
  assert message in found.message
