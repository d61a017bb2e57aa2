import numpy as np
import pytest

from jft import evaluation, tasks
from jft.preflight.start import _finite, judge

EVEN = np.full(10, 100)


def judged(loss, counts=EVEN, fresh=True):
  known = tasks.classification().expected(
    np.repeat(np.arange(len(counts)), counts), len(counts)
  )
  losses = np.full(4, loss, np.float32)
  return judge(losses, np.ones(4, bool), known, fresh=fresh)


@pytest.mark.parametrize(
  ("loss", "fresh", "level"),
  [
    (2.303, True, "ok"),
    (3.9, True, "ok"),
    (4.1, True, "warning"),  # 1.5 x 2.303 + 0.5 = 3.95
    (0.5, True, "warning"),
    (0.5, False, "ok"),
    (4.1, False, "warning"),
  ],
)
def test_against_even_guesses(loss, fresh, level):
  found = judged(loss, fresh=fresh)
  assert found.level == level
  assert "ln K = 2.303" in found.message


def test_a_loaded_head_in_another_order_is_told_so():
  found = judged(9.0, fresh=False)
  assert "another order than data.label_names" in found.message


def test_rare_classes_lower_what_to_expect_but_even_guesses_stay_fine():
  skewed = np.array([990, 10])
  assert judged(0.693, skewed).level == "ok"
  assert judged(0.056, skewed).level == "ok"  # The entropy of the classes.
  assert "the class frequencies 0.056" in judged(0.693, skewed).message
  assert judged(0.02, skewed).level == "warning"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite(bad):
  losses, logits = np.ones(4), np.zeros((4, 10))
  losses[1], logits[2, 3] = bad, bad
  seen = evaluation.Predictions(
    np.arange(4), None, {"logits": logits}, {"loss": losses}
  )
  found = judge(losses, _finite(seen), None, fresh=True)
  assert (found.level, found.details["not_finite"]) == ("error", 2)
  assert found.details["loss"] is None


def test_numbers_are_expected_as_their_mean_or_nothing():
  task = tasks.regression(target_range=(0, 10))
  known = task.expected(np.array([2.0, 4.0, 6.0]), 0)
  assert known.even == pytest.approx((0.04 + 0.16 + 0.36) / 3)
  assert known.informed == pytest.approx(0.08 / 3)
  ok = judge(np.full(4, 0.18), np.ones(4, bool), known, fresh=True)
  assert ok.level == "ok"
  assert "an output of 0 has 0.187, always the mean 0.027" in ok.message
  high = judge(np.full(4, 2.0), np.ones(4, bool), known, fresh=False)
  assert high.level == "warning"
  assert "another unit or range" in high.message


def test_a_task_that_expects_nothing():
  found = judge(np.full(4, 9.0), np.ones(4, bool), None, fresh=True)
  assert (found.level, found.message) == ("ok", "9.000 with a new head.")
