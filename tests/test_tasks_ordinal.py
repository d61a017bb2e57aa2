import types

import numpy as np
import pytest
from sklearn import metrics as sk

from jft import metrics, tasks

RNG = np.random.default_rng(0)
LABEL = RNG.integers(0, 4, 80).astype(np.int32)
LOGITS = (RNG.normal(size=(80, 3)) + (LABEL[:, None] > range(3))).astype("f")
NAMES = ("bad", "poor", "good", "best")


def seen(task):
  kept = {n: np.asarray(x) for n, x in task.kept({"logits": LOGITS}).items()}
  return types.SimpleNamespace(label=LABEL, outputs=kept)


def test_the_metrics_are_sklearns():
  task = tasks.ordinal(4)
  found, rank = task.summary(seen(task)), seen(task).outputs["rank"]
  kappa = sk.cohen_kappa_score(LABEL, rank, weights="quadratic")
  assert found == {
    "accuracy": pytest.approx(sk.accuracy_score(LABEL, rank)),
    "mae": pytest.approx(sk.mean_absolute_error(LABEL, rank)),
    "kappa": pytest.approx(kappa),
  }
  assert np.isnan(metrics.quadratic_kappa(np.ones(3), np.ones(3)))


def test_an_example_counts_as_many_times_as_it_is_asked():
  batch = {"label": np.arange(4), "mask": np.ones(4, np.float32)}
  assert tasks.ordinal(4).weights(batch).tolist() == [1, 2, 3, 3]


def test_probabilities_of_the_ranks_sum_to_one():
  task = tasks.ordinal(4)
  found = seen(task)
  for row, rank in zip(
    task.rows(found, NAMES), found.outputs["rank"], strict=True
  ):
    assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert row["label"] == NAMES[rank]
    assert row["probability"] == row["probabilities"][row["label"]]


def test_what_a_model_has_that_has_learnt_nothing():
  known = tasks.ordinal(4).expected(LABEL, 4)
  assert known.even == pytest.approx(np.log(2))
  asked = np.concatenate(
    [
      np.full((j <= LABEL).sum(), (LABEL[j <= LABEL] > j).mean())
      for j in (0, 1, 2)
    ]
  )
  want = -(asked * np.log(asked) + (1 - asked) * np.log(1 - asked)).mean()
  assert known.informed == pytest.approx(want)
