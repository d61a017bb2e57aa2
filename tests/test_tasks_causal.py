import types

import numpy as np
import optax
import pytest

from jft import tasks

RNG = np.random.default_rng(0)


def test_an_example_counts_as_many_times_as_it_has_labels():
  logits = RNG.normal(size=(2, 3, 5)).astype(np.float32)
  label = np.array([[1, 2, -1], [4, -1, -1]])
  task = tasks.causal_lm()
  batch = {"label": label, "mask": np.ones(2, np.float32)}
  loss = task.loss({"logits": logits}, batch)
  per_token = optax.softmax_cross_entropy_with_integer_labels(
    logits, np.maximum(label, 0)
  )
  np.testing.assert_allclose(loss[0], per_token[0, :2].mean(), rtol=1e-6)
  np.testing.assert_allclose(loss[1], per_token[1, 0], rtol=1e-6)
  assert task.weights(batch).tolist() == [2, 1]


def test_perplexity_is_that_of_all_tokens():
  seen = types.SimpleNamespace(means={"loss": np.log(7.0)})
  assert np.isclose(tasks.causal_lm().summary(seen)["perplexity"], 7.0)
  worst = types.SimpleNamespace(means={"loss": 1e6})
  assert np.isfinite(tasks.causal_lm().summary(worst)["perplexity"])


def test_smoothing_is_of_training_alone():
  logits = RNG.normal(size=(2, 3, 5)).astype(np.float32)
  batch = {"label": np.array([[1, 2, -1], [4, -1, -1]]), "mask": np.ones(2)}
  task = tasks.causal_lm(5, label_smoothing=0.2)
  plain = tasks.causal_lm().loss({"logits": logits}, batch)
  np.testing.assert_array_equal(task.loss({"logits": logits}, batch), plain)
  log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
  shares = 0.8 * np.eye(5)[batch["label"]] + 0.2 / 5
  each = -(shares * log_p).sum(-1)
  np.testing.assert_allclose(
    task.minimised({"logits": logits}, batch),
    [each[0, :2].mean(), each[1, 0]],
    rtol=1e-5,
  )
  least = -(0.84 * np.log(0.84) + 4 * 0.04 * np.log(0.04))
  assert task.least_loss(0) == pytest.approx(least)
  assert tasks.masked_lm(5).least_loss(0) == 0
