"""The policies of BatchNorm in a run: what rests, what moves, what is anew."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from jft import build, leaves, loop, restored
from jft.build.batch_norm import make_recalibrate
from jft.errors import UserError
from jft.preflight import gradient
from jft.tuning import recalibrate


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  with pytest.MonkeyPatch.context() as patch:
    tiny.add_preset(patch)
    tiny.draw_nothing(patch)
    yield tiny.write(tmp_path_factory.mktemp("weights"))


@pytest.mark.parametrize("policy", ["frozen", "update"])
def test_all_rest_or_none_whatever_is_trained(source, policy):
  run = build.build(
    tiny.recipe(
      source, f"tune.batch_norm={policy}", "optim.lr=0.001", "train.steps=4"
    )
  )
  batch = run.splits.train.batch_at(0)
  state = run.steps[0].replicate(jax.tree.map(jnp.copy, run.state))
  state, _ = run.steps[0](state, batch)
  before, after = (
    s.model_state["batch_stats"] for s in (run.state, jax.device_get(state))
  )
  still = jax.tree.leaves(
    jax.tree.map(lambda a, b: bool(np.all(a == b)), before, after)
  )
  assert all(still) if policy == "frozen" else not any(still)
  if policy == "update":  # no drift that a check would complain of
    assert [f.level for f in gradient.check(run, batch)] == ["ok"]


def test_recalibrated_statistics_are_evaluated_saved_and_resumed(
  source, tmp_path
):
  recipe = tiny.recipe(
    source,
    *("tune.batch_norm=recalibrate", "tune.recalibrate_batches=3"),
    *("train.steps=4", "eval.every_steps=2", "stop.metric=val/loss"),
    "stop.mode=min",
  )
  straight = loop.fit(recipe, tmp_path / "a")
  loop.fit(recipe, tmp_path / "b", until=2)
  resumed = loop.fit(recipe, tmp_path / "b")
  assert resumed["metrics"] == straight["metrics"]
  assert resumed["best_sha256"] == straight["best_sha256"]
  _, run, state = restored.best(tmp_path / "a")
  batches = [run.splits.train.batch_at(step) for step in range(3)]
  again = recalibrate.recalibrate(
    recalibrate.make_measure(run.net.apply), state.eval_variables, batches
  )
  assert tiny.same_bits(
    leaves.plain(again["batch_stats"]),
    leaves.plain(state.model_state["batch_stats"]),
  )


def test_a_model_without_batch_norm():
  for policy in ("frozen", "update", "recalibrate"):
    tune = types.SimpleNamespace(batch_norm=policy, recalibrate_batches=1)
    network = types.SimpleNamespace(variables={"params": {}})
    with pytest.raises(UserError, match="nothing to decide about"):
      make_recalibrate(tune, network, None)
