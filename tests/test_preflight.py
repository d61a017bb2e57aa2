"""The whole preflight, on real runs and on runs that are broken by hand."""

import dataclasses

import jax
import numpy as np
import pytest
import tiny

from jft import build, preflight
from jft.errors import UserError


@pytest.fixture(scope="module", autouse=True)
def preset():
  with pytest.MonkeyPatch.context() as patch:
    tiny.add_preset(patch)
    yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
  return tiny.write(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def run(weights):
  return build.build(tiny.recipe(weights, "tune.head_first=0.5"))


def levels(findings):
  return [(f.check, f.level) for f in findings]


def test_quick(run):
  found = preflight.quick(run)
  assert levels(found) == [
    ("labels", "ok"),
    ("leaks", "ok"),
    ("start_loss", "ok"),
  ]
  preflight.refuse(found)


def test_quick_compiles_nothing_that_the_run_does_not(run):
  from jft import evaluation

  evaluation.predict(run.eval_step, run.state.variables, run.evals["val"])
  compiled = run.eval_step._cache_size()
  preflight.quick(run)
  assert run.eval_step._cache_size() == compiled


def test_full_leaves_the_state_as_it_is(run):
  before = jax.device_get(run.state.variables)
  found = preflight.full(run, steps=3)
  assert levels(found) == [
    *(("labels", "ok"), ("leaks", "ok"), ("start_loss", "ok")),
    *(("images", "ok"), ("near_duplicates", "note"), ("view", "ok")),
    *(("gradient", "ok"), ("gradient", "ok"), ("overfit", "warning")),
  ]
  after = jax.device_get(run.state.variables)
  jax.tree.map(np.testing.assert_array_equal, before, after)
  assert preflight.full(run, steps=60)[-1].level == "ok"


def test_weights_that_are_not_finite(run):
  broken = dataclasses.replace(
    run.state,
    params=jax.tree.map(lambda x: x * np.nan, run.state.params),
  )
  found = preflight.full(dataclasses.replace(run, state=broken))
  assert ("start_loss", "error") in levels(found)
  assert "overfit" not in dict(levels(found))  # It would only say so again.
  with pytest.raises(UserError, match="start_loss: the untrained model's loss"):
    preflight.refuse(found)


def texts(folder, train, val, *more):
  tiny.write_bert(folder)
  for name, rows in (("train", train), ("val", val)):
    lines = [f"{text},{label}" for text, label in rows]
    (folder / f"{name}.csv").write_text("\n".join(["text,label", *lines]))
  return build.build(
    tiny.recipe(
      folder,
      f"data.train=csv:{folder}/train.csv",
      f"data.validation=csv:{folder}/val.csv",
      *("data.train_examples=0", "data.test_fraction=0", "data.max_length=16"),
      *("tune.preset=linear_probe", "tune.blocks=0", "train.batch_size=8"),
      *more,
    )
  )


ROWS = [
  (f"{w} film {w} {'good ' * i}", w) for w in ("bad", "good") for i in range(7)
]


@pytest.mark.slow
def test_texts(tmp_path):
  made = texts(tmp_path, ROWS, [("film bad", "bad"), ("film good", "good")])
  found = preflight.full(made, steps=2)
  assert dict(levels(found)) == {
    **dict.fromkeys(("labels", "leaks", "start_loss"), "ok"),
    **dict.fromkeys(("texts", "near_duplicates", "view", "gradient"), "ok"),
    "overfit": "warning",
  }
  shown = preflight.render(found)
  assert "[CLS] bad film bad" in shown
  assert "a linear probe need not be able to" in shown


def test_every_error_is_named_at_once(tmp_path):
  rows = [row for row in ROWS if row[1] == "bad"] * 2
  made = texts(tmp_path, rows, ROWS[:8], "data.label_names=bad,good")
  found = preflight.quick(made)
  assert levels(found) == [
    ("labels", "error"),
    ("leaks", "error"),
    ("repeats", "note"),
  ]
  with pytest.raises(UserError) as error:
    preflight.refuse(found)
  assert "no training example: good. 1 val examples are of them" in str(
    error.value
  ).replace("\n         ", " ")
  assert "7 of 8 val examples (87.5 %) are in train too" in str(error.value)
