"""Averages, penalties and SAM from a config, through kills and evaluation."""

import dataclasses

import jax
import numpy as np
import pytest
import tiny

from jft import build, config, loop, tree
from jft.build.check import check
from jft.checkpoint import Checkpointer
from jft.errors import UserError


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  with pytest.MonkeyPatch.context() as patch:
    tiny.add_preset(patch)
    yield tiny.write(tmp_path_factory.mktemp("weights"))


ALL = (
  "average.name=ema",
  "average.decay=0.9",
  "regularise.l2_sp=0.1",
  "regularise.l2_sp_head=0.01",
  "optim.sam_rho=0.05",
  "optim.clip_norm=0",
  "optim.clip_adaptive=0.1",
  "train.preflight=off",
)


def states(workdir, run):
  with Checkpointer(workdir / "checkpoints", best="val/accuracy") as ckpt:
    return ckpt.restore(12, run.state), ckpt.metrics(12)


@pytest.mark.slow
def test_a_resumed_run_is_the_same_to_the_bit(source, tmp_path):
  made = tiny.recipe(source, *ALL)
  loop.fit(made, tmp_path / "whole")
  assert loop.fit(made, tmp_path / "cut", until=6)["status"] == "interrupted"
  loop.fit(made, tmp_path / "cut")
  run = build.build(made)
  (a, _), (b, metrics) = (
    states(tmp_path / name, run) for name in ("whole", "cut")
  )
  for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True):
    if not jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
      np.testing.assert_array_equal(x, y)
  # What was measured is the average.
  assert a.average.keys() == a.params.keys()
  kernel = a.average["head"]["kernel"]
  assert np.abs(kernel - a.params["head"]["kernel"]).max() > 1e-4
  seen = loop.evaluation.predict(
    run.eval_step, a.eval_variables, run.evals["val"]
  )
  found = loop.evaluation.measure(run.task, seen)
  assert metrics["val/loss"] == pytest.approx(found["loss"], rel=1e-5)
  assert metrics["val/loss"] != pytest.approx(
    loop.evaluation.measure(
      run.task,
      loop.evaluation.predict(run.eval_step, a.variables, run.evals["val"]),
    )["loss"],
    rel=1e-5,
  )


def test_the_anchor_is_what_was_loaded(source):
  run = build.build(tiny.recipe(source, *ALL))
  loaded = tree.flatten(run.net.params)
  (anchor,) = [
    node.start
    for node in jax.tree.leaves(
      run.state.opt_state, is_leaf=lambda x: hasattr(x, "start")
    )
    if hasattr(node, "start")
  ]
  for name, leaf in tree.flatten(anchor).items():
    np.testing.assert_array_equal(leaf, loaded[name])


@pytest.mark.parametrize(
  ("given", "message"),
  [
    (["optim.clip_norm=1", "optim.clip_value=1"], "clip in one way"),
    (["regularise.l2=0.1", "optim.weight_decay=0.1"], "choose one of the two"),
    (["regularise.rules=[('.*', True)]"], "there is none; set one of"),
    (["regularise.l1=0.1", "regularise.rules=[('.*', 1)]"], "True"),
    (["optim.name=schedule_free"], "set optim.schedule='constant'"),
    (
      [
        "optim.name=schedule_free",
        "optim.schedule=constant",
        "average.name=ema",
      ],
      "an average of its own",
    ),
    (
      [
        "optim.name=schedule_free",
        "optim.schedule=constant",
        "optim.layer_decay=0.7",
      ],
      "no share of the rate",
    ),
    (["optim.name=lars", "optim.moments_dtype=bfloat16"], "cannot keep its"),
    (["optim.momentum=0.8"], "'adamw' does not read it; it has b1, b2, eps"),
    (["optim.b1=-0.5"], "or -1.0 for the optimizer's own"),
    (["average.name=emma"], "choose one of ema, swa"),
    (["average.name=ema", "average.decay=1.0"], "average.decay=1.0 is a share"),
  ],
)
def test_what_contradicts_is_refused_before_anything_is_loaded(given, message):
  made = config.load("quickstart", ["optim.clip_norm=0", *given])
  with pytest.raises(UserError, match=message):
    check(made)


@pytest.mark.parametrize("key", ["optim.decay_rules", "regularise.rules"])
def test_a_rule_that_chooses_no_trained_leaf_is_refused(source, key):
  # The stem is frozen.
  rules = f"{key}=[('stem.*', True), ('.*', False)]"
  with pytest.raises(UserError, match=f"{key}: rule 'stem.*' matches none"):
    build.build(tiny.recipe(source, rules, "regularise.l1=0.1"))


def test_rates_of_dropout_are_the_familys_own(source):
  made = tiny.recipe(source, "model.drop_path=0.1")
  with pytest.raises(UserError, match="resnet has no option 'drop_path'"):
    build.build(made)


def test_the_state_without_an_average_has_none(source):
  state = build.build(tiny.recipe(source)).state
  assert state.average == {}
  assert (
    dataclasses.replace(state).eval_variables.keys() == state.variables.keys()
  )
