import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import small
from jft import evaluation, parallel, tasks
from jft.errors import UserError
from jft.state import TrainState
from jft.step import make_eval_step, make_train_step
from jft.tuning import freeze

TARGET = np.array([0.0, 1.5, 3.0, 5.0], np.float32)
OUTPUT = np.array([[0.1], [0.2], [0.7], [0.9]], np.float32)


def values(task):
  outputs, batch = {"logits": jnp.asarray(OUTPUT)}, {"label": TARGET}
  rows = {name: fn(outputs, batch) for name, fn in task.metrics.items()}
  return {"loss": task.loss(outputs, batch), **rows}


def test_without_a_range_the_output_is_the_prediction():
  got = values(tasks.regression())
  error = OUTPUT[:, 0].astype(np.float64) - TARGET
  np.testing.assert_allclose(got["loss"], error**2, rtol=1e-6)
  np.testing.assert_allclose(got["mse"], error**2, rtol=1e-6)
  np.testing.assert_allclose(got["mae"], np.abs(error), rtol=1e-6)


def test_a_range_is_what_the_model_does_not_see():
  got = values(tasks.regression(target_range=(0, 5)))
  error = 5 * OUTPUT[:, 0].astype(np.float64) - TARGET
  np.testing.assert_allclose(got["loss"], (error / 5) ** 2, rtol=1e-5)
  np.testing.assert_allclose(got["mse"], error**2, rtol=1e-5)


def test_the_loss_is_float32_whatever_the_model_computes_in():
  outputs = {"logits": jnp.asarray(OUTPUT, jnp.bfloat16)}
  loss = tasks.regression().loss(outputs, {"label": TARGET})
  assert loss.dtype == jnp.float32


@pytest.mark.parametrize("given", [(5, 0), (0, 0), (0, np.inf)])
def test_a_range_that_is_none(given):
  with pytest.raises(UserError, match="target_range"):
    tasks.regression(target_range=given)


def seen(value, label):
  ids = np.arange(len(value))
  return evaluation.Predictions(
    ids, np.asarray(label), {"value": np.asarray(value)}, {}
  )


def test_a_report_has_the_worst_and_some_points():
  task = tasks.regression()
  found = task.report(seen([1.0, 2.0, 9.0], [1.0, 2.5, 3.0]), ())
  assert [row["id"] for row in found["worst"]] == [2, 1, 0]
  assert found["points"] == {
    "target": [1.0, 2.5, 3.0],
    "predicted": [1.0, 2.0, 9.0],
  }
  assert task.rows(seen([0.5], [1.0]), ()) == [{"value": 0.5}]
  assert task.answer(np.float32(2.5), ()) == "2.5"
  many = task.report(seen(np.arange(9999.0), np.arange(9999.0)), ())
  assert len(many["points"]["target"]) == 1000


def number_batch(rows=16):
  batch = small.batch(rows=rows)
  target = batch["image"].sum(1).astype(np.float32)
  return {**batch, "label": target}


def test_a_split_is_measured_exactly_whatever_the_batches():
  net, task = small.net(), tasks.regression(target_range=(-4, 4))
  step = jax.jit(make_eval_step(net.apply, task))
  whole = number_batch(21)
  parts = [
    {name: x[start : start + 7] for name, x in whole.items()}
    for start in range(0, 21, 7)
  ]
  got = evaluation.measure(task, evaluation.predict(step, net.variables, parts))
  logits = np.asarray(net.apply(net.variables, whole["image"])["logits"])
  value = -4 + 8 * logits[:, 0].astype(np.float64)
  error = value - whole["label"]
  assert got["mse"] == pytest.approx((error**2).mean(), rel=1e-5)
  assert got["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
  assert got["loss"] == pytest.approx((error**2).mean() / 64, rel=1e-5)
  want = np.corrcoef(value, whole["label"])[0, 1]
  assert got["pearson"] == pytest.approx(want, rel=1e-5)


def test_padding_counts_in_no_mean():
  net, task = small.net(), tasks.regression()
  labels = freeze.label(net.variables["params"], [(".*", "all")])
  tx = optax.sgd(0.1)
  make = functools.partial(make_train_step, net.apply, task, tx)
  batch = number_batch()
  batch["mask"][10:] = 0
  batch["label"][10:] = 1e6
  step = parallel.pmap(make(), parallel.data_mesh(jax.devices()[:1]))
  state = step.replicate(TrainState.create(net, labels, tx))
  _, metrics = step(state, batch)
  # BatchNorm in train mode sees the padding, so only the bound is plain.
  assert float(metrics["loss"]) < 1e3
