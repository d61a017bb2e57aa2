import math

import numpy as np
import pytest
import scipy.stats
from sklearn import metrics as sk

from jft import metrics
from jft.errors import UserError

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(200, 5)).astype(np.float32)
LABEL = RNG.integers(0, 5, 200).astype(np.int32)


def test_accuracy_and_top_k_against_sklearn():
  want = sk.accuracy_score(LABEL, LOGITS.argmax(-1))
  assert np.mean(metrics.accuracy(LOGITS, LABEL)) == pytest.approx(want)
  want = sk.top_k_accuracy_score(LABEL, LOGITS, k=3)
  assert np.mean(metrics.top_k(LOGITS, LABEL, 3)) == pytest.approx(want)


def test_nan_is_never_right():
  logits = np.full((3, 3), np.nan, np.float32)
  label = np.arange(3, dtype=np.int32)
  assert not np.any(metrics.accuracy(logits, label))
  assert not np.any(metrics.top_k(logits, label, 2))


def test_report_by_hand():
  report = metrics.classification_report(
    np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), ["ant", "bee", "wasp"]
  )
  ant, bee, wasp = report["classes"]
  assert ant == {
    "name": "ant",
    "precision": 1.0,
    "recall": 0.5,
    "f1": pytest.approx(2 / 3),
    "support": 2,
  }
  assert (bee["precision"], bee["recall"]) == (pytest.approx(2 / 3), 1.0)
  assert wasp["support"] == 0
  assert wasp["f1"] == 0.0
  assert report["confusion"] == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]


def test_lengths_must_agree():
  with pytest.raises(UserError, match="2 labels against 1 predictions"):
    metrics.classification_report(np.zeros(2), np.zeros(1), ["a"])


def numbers(case):
  rng = np.random.default_rng(case)
  x = rng.normal(size=50)
  y = x + rng.normal(size=50)
  # Ties on both sides.
  return (x.round(1), y.round(0)) if case % 2 else (x, y)


@pytest.mark.parametrize("case", range(4))
def test_correlations_are_those_of_scipy(case):
  x, y = numbers(case)
  assert metrics.pearson(x, y) == pytest.approx(
    scipy.stats.pearsonr(x, y).statistic, abs=1e-12
  )
  assert metrics.spearman(x, y) == pytest.approx(
    scipy.stats.spearmanr(x, y).statistic, abs=1e-12
  )


def test_correlations_that_are_not_defined():
  x, one = np.arange(3.0), np.ones(3)
  assert math.isnan(metrics.pearson(x, one))
  assert math.isnan(metrics.spearman(one, x))
  assert math.isnan(metrics.spearman(x[:1], x[:1]))
  assert math.isnan(metrics.spearman(np.array([1.0, np.nan, 2.0]), x))


def test_entropy():
  assert metrics.entropy(np.array([7, 7, 7, 7])) == pytest.approx(np.log(4))
  assert metrics.entropy(np.array([7, 0])) == 0
