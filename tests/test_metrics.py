import numpy as np
import pytest
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
