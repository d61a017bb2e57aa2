import functools

import numpy as np
import pytest

from jft import losses, tasks
from jft.tasks import classes, per_token

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 3)).astype(np.float32)
LABEL = np.array([0, 1, 2, 2, 1, 0], np.int32)
WEIGHTS = np.array([0.5, 1.0, 4.0], np.float32)
BATCH = {"label": LABEL, "mask": np.array([1, 1, 1, 1, 1, 0], np.float32)}


def test_class_weights_are_training_alone():
  plain = tasks.classification()
  task = tasks.classification(class_weights=WEIGHTS)
  outputs = {"logits": LOGITS}
  np.testing.assert_array_equal(
    task.loss(outputs, BATCH), plain.loss(outputs, BATCH)
  )
  np.testing.assert_array_equal(task.weights(BATCH), BATCH["mask"])
  want = WEIGHTS[LABEL] * BATCH["mask"]
  np.testing.assert_array_equal(task.loss_weights(BATCH), want)


def test_shares_of_two_classes_weigh_as_both():
  shares = np.array([[0.25, 0.75, 0.0]], np.float32)
  weigh = classes.by_class(WEIGHTS)
  assert weigh({"label": shares}).tolist() == [0.25 * 0.5 + 0.75]


def test_logits_are_adjusted_in_training_alone():
  prior = np.log([0.6, 0.3, 0.1])
  task = tasks.classification(adjustment=prior)
  outputs = {"logits": LOGITS}
  np.testing.assert_allclose(
    task.minimised(outputs, BATCH),
    losses.softmax_cross_entropy(LOGITS + prior.astype("f"), LABEL),
    rtol=1e-6,
  )
  plain = losses.softmax_cross_entropy(LOGITS, LABEL)
  np.testing.assert_array_equal(task.loss(outputs, BATCH), plain)


def test_the_first_focal_loss_in_closed_form():
  label = np.repeat(np.arange(3), (5, 3, 2))
  loss = functools.partial(losses.softmax_focal, gamma=2.0)
  known = tasks.classification(loss=loss).expected(label, 3)
  assert known.even == pytest.approx((2 / 3) ** 2 * np.log(3), rel=1e-5)
  p = np.array([0.5, 0.3, 0.2])
  want = -(p * (1 - p) ** 2 * np.log(p)).sum()
  assert known.informed == pytest.approx(want, rel=1e-5)


def test_words_weighed_by_class_are_torchs_mean():
  # torch: sum of w[y] loss over all words, divided by the sum of w[y].
  label = np.array([[0, 2, -1, 1], [2, -1, -1, -1], [-1, -1, -1, -1]])
  logits = RNG.normal(size=(3, 4, 3)).astype(np.float32)
  batch = {"label": label, "mask": np.ones(3, np.float32)}
  task = tasks.token_classification(("a", "b", "c"), class_weights=WEIGHTS)
  weights = task.loss_weights(batch)
  got = (task.minimised({"logits": logits}, batch) * weights).sum()
  asked = label >= 0
  each = losses.softmax_cross_entropy(logits[asked], label[asked])
  of_each = WEIGHTS[label[asked]]
  want = (np.asarray(each) * of_each).sum() / of_each.sum()
  assert got / weights.sum() == pytest.approx(want, rel=1e-5)
  plain = per_token.make_loss()({"logits": logits}, batch)
  np.testing.assert_array_equal(task.loss({"logits": logits}, batch), plain)
