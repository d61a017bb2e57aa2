import types

import numpy as np
import pytest
from sklearn import metrics as sk

from jft import tasks

RNG = np.random.default_rng(0)
LABEL = (RNG.uniform(size=(60, 4)) < [0.1, 0.5, 0.8, 0.3]).astype(np.float32)
LOGITS = (RNG.normal(size=(60, 4)) + LABEL).astype(np.float32)
SEEN = types.SimpleNamespace(label=LABEL, logits=LOGITS)
NAMES = ("a", "b", "c", "d")


def test_the_metrics_are_sklearns():
  task, predicted = tasks.multi_label(), LOGITS > 0
  found = task.summary(SEEN)
  assert found == {
    "micro_f1": pytest.approx(sk.f1_score(LABEL, predicted, average="micro")),
    "macro_f1": pytest.approx(sk.f1_score(LABEL, predicted, average="macro")),
    "map": pytest.approx(sk.average_precision_score(LABEL, LOGITS)),
  }
  exact = task.metrics["exact_match"]({"logits": LOGITS}, {"label": LABEL})
  want = sk.accuracy_score(LABEL, predicted)
  assert np.mean(exact) == pytest.approx(want)
  report = task.report(SEEN, NAMES)
  rows = sk.precision_recall_fscore_support(LABEL, predicted)
  for i, row in enumerate(report["classes"]):
    assert row["name"] == NAMES[i]
    got = [row[key] for key in ("precision", "recall", "f1", "support")]
    assert got == pytest.approx([float(column[i]) for column in rows])


def test_a_class_that_nothing_is_of_has_no_average_precision():
  label = LABEL.copy()
  label[:, 1] = 0
  seen = types.SimpleNamespace(label=label, logits=LOGITS)
  kept = [0, 2, 3]
  want = sk.average_precision_score(label[:, kept], LOGITS[:, kept])
  assert tasks.multi_label().summary(seen)["map"] == pytest.approx(want)


def test_a_yes_weighs_more_in_training_alone():
  task = tasks.multi_label(pos_weight=[2.0, 1.0, 1.0, 5.0])
  outputs, batch = {"logits": LOGITS}, {"label": LABEL}
  plain = tasks.multi_label().loss(outputs, batch)
  np.testing.assert_array_equal(task.loss(outputs, batch), plain)
  assert (task.minimised(outputs, batch) >= plain).all()
  assert (task.minimised(outputs, batch) > plain).any()


def test_what_a_model_has_that_has_learnt_nothing():
  known = tasks.multi_label().expected(LABEL, 4)
  assert known.even == pytest.approx(np.log(2), rel=1e-6)
  assert "ln 2 = 0.693" in known.told
  share = LABEL.mean(0, dtype=np.float64)
  want = -(share * np.log(share) + (1 - share) * np.log(1 - share)).mean()
  assert known.informed == pytest.approx(want, rel=1e-5)


def test_rows_and_answers():
  task = tasks.multi_label()
  row = task.rows(SEEN, NAMES)[0]
  want = [n for n, x in zip(NAMES, LOGITS[0], strict=True) if x > 0]
  assert row["labels"] == want
  assert row["probabilities"]["a"] == pytest.approx(
    1 / (1 + np.exp(-LOGITS[0, 0])), abs=1e-6
  )
  assert task.answer(np.array([1, 0, 0, 1]), NAMES) == "a, d"
  assert task.answer(np.zeros(4), NAMES) == "none"
