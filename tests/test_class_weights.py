import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from jft import class_weights
from jft.errors import UserError

COUNTS = np.array([50, 7, 3])
LABEL = np.repeat(np.arange(3), COUNTS)


def test_balanced_weights_are_sklearns():
  want = compute_class_weight("balanced", classes=np.arange(3), y=LABEL)
  np.testing.assert_allclose(class_weights.balanced(COUNTS), want)
  assert np.mean(want[LABEL]) == pytest.approx(1)


def test_effective_numbers_of_the_paper():
  # E_n = 1 + beta E_(n-1), E_1 = 1: the paper's proposition 1.
  def expected_volume(n, beta):
    return 1 if n == 1 else 1 + beta * expected_volume(n - 1, beta)

  inverse = np.array([1 / expected_volume(n, 0.9) for n in COUNTS])
  want = inverse / inverse.sum() * 3
  np.testing.assert_allclose(class_weights.effective(COUNTS, 0.9), want)


def test_the_effective_number_goes_from_no_weights_to_balanced_ones():
  np.testing.assert_allclose(class_weights.effective(COUNTS, 0.0), 1)
  near_one = class_weights.effective(COUNTS, 1 - 1e-9)
  balanced = class_weights.balanced(COUNTS)
  want = balanced / balanced.sum() * 3
  np.testing.assert_allclose(near_one, want, rtol=1e-5)


def test_what_no_example_shows_has_no_weight():
  for of in (class_weights.balanced, class_weights.log_prior):
    with pytest.raises(UserError, match="class 1 of 2 has no training example"):
      of(np.array([3, 0]))
  with pytest.raises(UserError, match=r"beta=1.0 .* in \[0, 1\)"):
    class_weights.effective(COUNTS, 1.0)
  prior = class_weights.log_prior(COUNTS)
  assert np.exp(prior).sum() == pytest.approx(1)
