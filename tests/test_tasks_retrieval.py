import types

import jax
import numpy as np
import optax
import pytest

from jft import evaluation, metrics, parallel, siamese, tasks
from jft.state import TrainState
from jft.step import make_eval_step, make_train_step
from jft.tuning import freeze

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(40, 6)).astype(np.float32)


def _apply(variables, inputs, *, mutable=False, **kwargs):
  table = variables["params"]["head"]["table"]
  outputs = {"features": table[inputs["input_ids"]].sum(1)}
  return outputs if mutable is False else (outputs, {})


APPLY = siamese.apart(_apply)
NET = types.SimpleNamespace(
  apply=APPLY, variables={"params": {"head": {"table": TABLE}}}
)


def batch(rows=8, texts=2, real=8):
  return {
    "input_ids": RNG.integers(0, 40, (rows, texts, 3)).astype(np.int32),
    "label": np.zeros(rows, np.int32),
    "mask": (np.arange(rows) < real).astype(np.float32),
    "id": np.arange(rows, dtype=np.int32),
  }


def updated(mapper, devices, task, given):
  labels = freeze.label(NET.variables["params"], [(".*", "head")])
  tx = optax.sgd(0.1)
  step = mapper(
    make_train_step(APPLY, task, tx),
    parallel.data_mesh(jax.devices()[:devices]),
  )
  state = step.replicate(TrainState.create(NET, labels, tx))
  state, found = step(state, step.place(given))
  return np.asarray(state.params["head"]["table"]), float(found["loss"])


@pytest.mark.parametrize("texts", [2, 3])
def test_negatives_are_those_of_all_devices(texts):
  task = tasks.retrieval(symmetric=True, temperature=0.5)
  given = batch(texts=texts)
  one, loss = updated(parallel.pmap, 1, task, given)
  assert np.abs(one - TABLE).max() > 1e-3
  for mapper in (parallel.pmap, parallel.jit):
    got, found = updated(mapper, 4, task, given)
    np.testing.assert_allclose(got, one, atol=1e-6)
    assert found == pytest.approx(loss, rel=1e-5)


def test_evaluation_is_over_the_split_whatever_the_batch_size():
  task = tasks.retrieval(temperature=0.1)
  whole = batch(rows=12, real=12)
  step = jax.jit(make_eval_step(APPLY, task))
  seen = [
    evaluation.predict(
      step,
      NET.variables,
      [
        {name: x[i : i + size] for name, x in whole.items()}
        for i in range(0, 12, size)
      ],
    )
    for size in (12, 4)
  ]
  one, other = (evaluation.measure(task, s) for s in seen)
  assert one == pytest.approx(other, rel=1e-5)
  features = TABLE[whole["input_ids"]].sum(2).astype(np.float64)
  unit = features / np.linalg.norm(features, axis=-1, keepdims=True)
  cosines = unit[:, 0] @ unit[:, 1].T
  ranks = [1 + sum(row > row[i]) for i, row in enumerate(cosines)]
  scores = np.exp(cosines / 0.1)
  assert one == {
    "recall_at_1": pytest.approx(np.mean(np.array(ranks) == 1)),
    "recall_at_10": pytest.approx(np.mean(np.array(ranks) <= 10)),
    "mrr": pytest.approx(np.mean(1 / np.array(ranks))),
    "loss": pytest.approx(
      -np.log(scores.diagonal() / scores.sum(1)).mean(), rel=1e-5
    ),
  }
  rows = task.rows(seen[0], ())
  assert rows[2] == {"value": pytest.approx(cosines[2, 2], abs=1e-6)}


def test_what_looks_alike_is_not_found():
  ranks, surprise = metrics.ranks_of_own(np.ones((3, 2)), np.ones((3, 2)))
  assert ranks.tolist() == [3, 3, 3]
  np.testing.assert_allclose(surprise, np.log(3))
  ranks, _ = metrics.ranks_of_own(np.full((2, 2), np.nan), np.ones((2, 2)))
  assert ranks.tolist() == [2, 2]


def test_triplets_need_no_other_example():
  task = tasks.retrieval(margin=1.0)
  given = batch(rows=4, texts=3)
  one, loss = updated(parallel.pmap, 1, task, given)
  other, _ = updated(parallel.pmap, 4, task, given)
  np.testing.assert_allclose(other, one, atol=1e-6)
  features = TABLE[given["input_ids"]].sum(2)
  near, far = (
    np.linalg.norm(features[:, 0] - features[:, i], axis=-1) for i in (1, 2)
  )
  assert loss == pytest.approx(np.maximum(1 + near - far, 0).mean(), rel=1e-5)


# Row 2 asks what row 0 does, row 3 has row 1's passage, and a wrong passage of
# one row may be another's right one.
TWICE = np.array(
  [[[1], [11], [12]], [[2], [12], [21]], [[1], [13], [22]], [[3], [12], [13]]]
).astype(np.int32)
NAMED = {"texts": np.repeat(TWICE, 2, -1).astype(np.uint32)}
RIVALS = (  # each row's, of the passages 11, 12, 13, 12 and the wrong 12, 21...
  [0, 1, 3, 4, 5, 6, 7],
  [0, 1, 2, 5, 6, 7],
  [1, 2, 3, 4, 5, 6],
  [0, 2, 3, 5, 6, 7],
)


def test_equal_texts_are_no_rivals_in_training():
  given = {**batch(rows=4, texts=3, real=4), "input_ids": TWICE, **NAMED}
  one, loss = updated(parallel.pmap, 1, tasks.retrieval(temperature=0.5), given)
  other, _ = updated(parallel.pmap, 4, tasks.retrieval(temperature=0.5), given)
  np.testing.assert_allclose(other, one, atol=1e-6)
  unit = metrics.unit(TABLE[TWICE].sum(2))
  passages = np.concatenate([unit[:, 1], unit[:, 2]])
  wanted = []
  for i, rivals in enumerate(RIVALS):
    scores = passages @ unit[i, 0] / 0.5
    wanted.append(np.log(np.exp(scores[rivals]).sum()) - scores[i])
  assert loss == pytest.approx(np.mean(wanted), rel=1e-5)


def test_equal_texts_count_once_in_evaluation():
  given = {**batch(rows=4, texts=3, real=4), "input_ids": TWICE, **NAMED}
  task = tasks.retrieval(temperature=0.5)
  step = jax.jit(make_eval_step(APPLY, task))
  seen = evaluation.predict(step, NET.variables, [given])
  unit = metrics.unit(TABLE[TWICE].sum(2))
  table = {int(TWICE[i, j, 0]): unit[i, j] for i, j in np.ndindex(4, 3)}
  right = {1: {11, 13}, 2: {12}, 3: {12}}
  ranks, losses = [], []
  for query, own in TWICE[:, :2, 0].tolist():
    others = {11, 12, 13, 21, 22} - right[query]
    scores = {p: table[p] @ table[query] for p in (own, *others)}
    ranks.append(1 + sum(scores[p] >= scores[own] for p in others))
    total = sum(np.exp(score / 0.5) for score in scores.values())
    losses.append(np.log(total) - scores[own] / 0.5)
  found = evaluation.measure(task, seen)
  assert found["mrr"] == pytest.approx(np.mean(1 / np.array(ranks)))
  assert found["recall_at_1"] == np.mean(np.array(ranks) == 1)
  assert found["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
