import numpy as np
import pytest

from jft.preflight.start import judge

EVEN = np.full(10, 100)


def judged(loss, counts=EVEN, fresh=True):
  logits = np.zeros((4, len(counts)), np.float32)
  return judge(np.full(4, loss, np.float32), logits, counts, fresh=fresh)


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
  found = judge(losses, logits, EVEN, fresh=True)
  assert (found.level, found.details["not_finite"]) == ("error", 2)
  assert found.details["loss"] is None
