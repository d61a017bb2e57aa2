"""Gradients of a small network whose parts are cut off one by one."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import small
from jft import optim, parallel, tasks, tree
from jft.preflight import gradient
from jft.state import TrainState
from jft.step import make_train_step
from jft.tuning import freeze
from jft.tuning.unfreeze import Phase

TOP = [
  ("head/.*", "head"),
  (".*/fc/bias", "freeze"),  # Before a BatchNorm, which takes it away.
  ("block_01/.*", "top"),
  (".*", "freeze"),
]


def run(
  change=lambda params: params, rules=TOP, phases=None, lr=0.0, edit=None
):
  """What the check needs of a run; `change` is made inside the model."""
  net = small.net()
  if edit:
    net.variables["params"] = edit(net.variables["params"])

  def apply(variables, inputs, **kwargs):
    params = change(variables["params"])
    return net.apply({**variables, "params": params}, inputs, **kwargs)

  labels = freeze.label(net.variables["params"], rules)
  live = sorted(set(tree.flatten(labels).values()) - {"freeze"})
  phases = phases or (Phase(0, frozenset(live)),)
  transforms = {label: optax.adam(lr) for label in live}

  def make_step(phase, tx):
    active = freeze.is_trained(labels, phases[phase].labels)
    step = make_train_step(apply, tasks.classification(), tx, active=active)
    return parallel.jit(step, parallel.data_mesh(jax.devices()[:1]))

  txs = [optim.by_label(transforms, labels, active=p.labels) for p in phases]
  return types.SimpleNamespace(
    state=TrainState.create(net, labels, txs[0]),
    tuning=types.SimpleNamespace(
      labels=labels, phases=phases, batch_norm="auto"
    ),
    make_step=make_step,
    steps=[make_step(i, tx) for i, tx in enumerate(txs)],
  )


def detached(*names):
  return lambda params: tree.map_with_names(
    lambda name, x: jax.lax.stop_gradient(x) if name in names else x, params
  )


BATCH = small.batch(rows=16)


def test_a_rate_of_zero_hides_nothing():
  made = run(lr=0.0)
  before = jax.device_get(made.state.params)
  (found,) = gradient.check(made, BATCH)
  assert found.level == "ok"
  assert "reaches all 5 trained leaves; the 7 frozen ones" in found.message
  after = jax.device_get(made.state.params)
  jax.tree.map(np.testing.assert_array_equal, before, after)


def test_the_gradients_are_those_of_the_loss():
  made = run()
  found = gradient.gradients(made, 0, made.state, BATCH)
  _, metrics = made.steps[0](gradient.own(made.state), BATCH)
  norm = np.sqrt(sum(np.sum(np.square(g)) for g in found.values()))
  assert norm == pytest.approx(float(metrics["grad_norm"]), rel=1e-5)
  assert set(found) == {
    "block_01/fc/kernel",
    *("block_01/norm/bias", "block_01/norm/scale"),
    *("head/bias", "head/kernel"),
  }


def test_a_detached_leaf_is_an_error_that_names_it():
  found, *_ = gradient.check(run(detached("block_01/fc/kernel")), BATCH)
  assert (found.level, found.details["zero"]) == (
    "error",
    ["block_01/fc/kernel"],
  )
  assert "1 of 5 trained leaves get no gradient at all" in found.message


def test_a_head_that_starts_at_zero_is_only_noted():
  def zero_head(params):
    head = jax.tree.map(jnp.zeros_like, params["head"])
    return {**params, "head": head}

  (found,) = gradient.check(run(edit=zero_head), BATCH)
  assert (found.level, len(found.details["zero_at_start"])) == ("note", 3)


def test_weights_that_are_not_finite():
  def broken(params):
    kernel = params["head"]["kernel"].at[0, 0].set(jnp.nan)
    return {**params, "head": {**params["head"], "kernel": kernel}}

  found, *_ = gradient.check(run(edit=broken), BATCH)
  assert found.level == "error"
  assert "head/kernel" in found.details["not_finite"]


def test_each_phase_is_checked():
  phases = Phase(0, frozenset({"head"})), Phase(7, frozenset({"head", "top"}))
  found = gradient.check(
    run(detached("block_01/norm/scale"), phases=phases), BATCH
  )
  assert [f.level for f in found] == ["ok", "error"]
  assert found[0].message.startswith("from step 0: reaches all 2 trained leav")
  assert found[1].message.startswith("from step 7: 1 of 5 trained leaves get")


def test_a_frozen_leaf_that_moves_is_an_error():
  made = run()

  def drifting(state, batch):
    state, metrics = honest(state, batch)
    stem = jax.tree.map(lambda x: x + 1e-6, state.frozen["stem"])
    frozen = {**state.frozen, "stem": stem}
    return dataclasses.replace(state, frozen=frozen), metrics

  honest = made.steps[0].run
  made.steps[0] = dataclasses.replace(made.steps[0], run=drifting)
  found, *_ = gradient.check(made, BATCH)
  assert (found.level, found.details["moved"]) == (
    "error",
    ["params/stem/bias", "params/stem/kernel"],
  )


def test_statistics_of_a_frozen_norm_must_stay_too():
  before = {"batch_stats/a/norm/mean": np.zeros(2), "params/a/k": np.ones(1)}
  after = {**before, "batch_stats/a/norm/mean": np.array([0.0, -0.0])}
  assert gradient.moved(before, after, list(before)) == [
    "batch_stats/a/norm/mean"
  ]


def test_a_bias_before_a_norm_gets_next_to_none():
  rules = [rule for rule in TOP if rule[0] != ".*/fc/bias"]
  (found,) = gradient.check(run(rules=rules), BATCH)
  assert found.level == "warning"
  assert list(found.details["faint"]) == ["block_01/fc/bias"]


def test_faint_gradients_and_the_bias_that_has_none():
  rng = np.random.default_rng(0)
  grads = {f"l{i}/kernel": rng.normal(size=(4, 4)) for i in range(5)}
  grads["l5/kernel"] = 1e-9 * rng.normal(size=(4, 4))
  grads["l5/attention/key/bias"] = np.zeros(4)
  (found,) = gradient.judge(grads, None)
  assert (found.level, list(found.details["faint"])) == (
    "warning",
    ["l5/kernel"],
  )
