import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jft import evaluation, parallel, tasks
from jft.state import TrainState
from jft.step import make_eval_step, make_train_step
from jft.tuning import freeze

NAMES = ("B-a", "I-a", "O")
TASK = tasks.token_classification(NAMES)
RNG = np.random.default_rng(0)
PARAMS = {"head": {"kernel": RNG.normal(size=(20, 3)).astype(np.float32)}}


def apply(variables, inputs, *, mutable=False, **kwargs):
  logits = variables["params"]["head"]["kernel"][inputs["input_ids"]]
  return {"logits": logits} if mutable is False else ({"logits": logits}, {})


NET = types.SimpleNamespace(apply=apply, variables={"params": PARAMS})


def batch(rows=8, width=6):
  """Sentences of one to six words, each with a tag."""
  label = RNG.integers(0, 3, (rows, width)).astype(np.int32)
  words = 1 + np.arange(rows) % width
  label[np.arange(width) >= words[:, None]] = -1
  return {
    "input_ids": RNG.integers(0, 20, (rows, width)).astype(np.int32),
    "attention_mask": (label >= 0).astype(np.int32),
    "label": label,
    "part": np.zeros(rows, np.int32),
    "mask": np.ones(rows, np.float32),
    "id": np.arange(rows, dtype=np.int32),
  }


def by_hand(rows):
  """The mean loss and accuracy of all words, in float64."""
  logits = PARAMS["head"]["kernel"].astype(np.float64)[rows["input_ids"]]
  log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
  keep = (rows["label"] >= 0) & (rows["mask"][:, None] > 0)
  own = np.take_along_axis(log_p, np.maximum(rows["label"], 0)[..., None], -1)
  right = logits.argmax(-1) == rows["label"]
  return -own[..., 0][keep].mean(), right[keep].mean()


@pytest.mark.parametrize("devices", [1, 4])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_loss_is_the_mean_over_all_words(devices, accumulate):
  rows = batch()
  rows["mask"][5] = 0
  labels = freeze.label(PARAMS, freeze.linear_probe(PARAMS))
  tx = optax.sgd(1.0)
  make = functools.partial(make_train_step, NET.apply, TASK, tx)
  mesh = parallel.data_mesh(jax.devices()[:devices])
  step = parallel.pmap(make(accumulate=accumulate), mesh)
  state = step.replicate(TrainState.create(NET, labels, tx))
  after, metrics = step(state, step.place(rows))
  loss, accuracy = by_hand(rows)
  assert float(metrics["loss"]) == pytest.approx(loss, rel=1e-5)
  assert float(metrics["token_accuracy"]) == pytest.approx(accuracy, rel=1e-5)

  def mean_loss(kernel):
    keep = (rows["label"] >= 0) & (rows["mask"][:, None] > 0)
    picked = optax.losses.softmax_cross_entropy_with_integer_labels(
      kernel[rows["input_ids"]], np.maximum(rows["label"], 0)
    )
    return (picked * keep).sum() / keep.sum()

  grad = jax.grad(mean_loss)(jnp.asarray(PARAMS["head"]["kernel"]))
  np.testing.assert_allclose(
    after.params["head"]["kernel"],
    PARAMS["head"]["kernel"] - grad,
    rtol=1e-5,
    atol=1e-6,
  )


def test_a_batch_without_any_word_does_no_harm():
  rows = batch()
  rows["label"][:] = -1
  labels = freeze.label(PARAMS, freeze.linear_probe(PARAMS))
  tx = optax.sgd(1.0)
  step = jax.jit(make_train_step(NET.apply, TASK, tx))
  after, metrics = step(TrainState.create(NET, labels, tx), rows)
  assert float(metrics["loss"]) == 0.0
  kernel = after.params["head"]["kernel"]
  np.testing.assert_array_equal(kernel, PARAMS["head"]["kernel"])


@pytest.mark.parametrize("size", [3, 8])
def test_batches_of_any_width_give_the_same_numbers(size):
  whole = batch()
  parts = [
    {name: x[start : start + size] for name, x in whole.items()}
    for start in range(0, 8, size)
  ]
  # The first batch is padded to fewer tokens than the others.
  width = int(parts[0]["attention_mask"].sum(1).max())
  for name in ("input_ids", "attention_mask", "label"):
    parts[0][name] = parts[0][name][:, :width]
  step = jax.jit(make_eval_step(NET.apply, TASK))
  seen = evaluation.predict(step, NET.variables, parts)
  got = evaluation.measure(TASK, seen)
  loss, accuracy = by_hand(whole)
  assert got["loss"] == pytest.approx(loss, rel=1e-5)
  assert got["token_accuracy"] == pytest.approx(accuracy, rel=1e-6)
  assert 0 <= got["precision"] <= 1


def seen(label, tag, part=None):
  ids = np.arange(len(label))
  tag = np.array(tag)
  kept = {"tag": tag, "probability": np.full(tag.shape, 0.5)}
  part = None if part is None else np.array(part)
  return evaluation.Predictions(ids, np.array(label), kept, {}, None, part)


def test_parts_of_a_sentence_are_scored_as_one():
  # A span of three words, cut after its first: one span, not two.
  label = [[-1, 2, 0, -1], [-1, 1, 1, -1], [0, -1, -1, -1]]
  tag = [[9, 2, 0, 9], [9, 1, 1, 9], [2, 9, 9, 9]]
  found = TASK.summary(seen(label, tag, [0, 1, 0]))
  assert found == {"f1": 2 / 3, "precision": 1.0, "recall": 0.5}
  alone = TASK.summary(seen(label, tag, [0, 0, 0]))
  assert alone == {"f1": 0.8, "precision": 1.0, "recall": 2 / 3}
  report = TASK.report(seen(label, tag, [0, 1, 0]), NAMES)
  assert report["title"] == "Spans"
  assert [(r["name"], r["support"]) for r in report["classes"]] == [("a", 2)]


def test_a_prediction_for_each_sentence():
  rows = TASK.rows(
    seen([[-1, 0, 0], [0, -1, -1]], [[9, 0, 1], [2, 9, 9]]), NAMES
  )
  assert rows == [
    {
      "tags": ["B-a", "I-a"],
      "tag_probabilities": [0.5, 0.5],
      "spans": [{"type": "a", "start": 0, "end": 2}],
    },
    {"tags": ["O"], "tag_probabilities": [0.5], "spans": []},
  ]
  assert TASK.answer(np.array([-1, 2, 0, -1]), NAMES) == "O B-a"
  assert len(TASK.answer(np.full(99, 2), NAMES)) == 60


def test_what_evaluation_keeps():
  logits = jnp.log(jnp.array([[[0.2, 0.7, 0.1]]]))
  kept = TASK.kept({"logits": logits})
  assert kept["tag"].tolist() == [[1]]
  assert kept["probability"][0, 0] == pytest.approx(0.7, rel=1e-5)
