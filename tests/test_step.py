import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import small
from jft import optim, tasks, tree
from jft.state import TrainState
from jft.step import Hooks, make_eval_step, make_train_step
from jft.tuning import freeze, unfreeze

TASK = tasks.classification()
NET = small.net()
PARAMS = NET.variables["params"]


def build(rules, net=NET, *, clip_norm=1.0, active=None, **kwargs):
  labels = freeze.label(PARAMS, rules)
  used = set(tree.flatten(labels).values()) - {"freeze"}
  tx = optim.by_label(
    {name: optax.adamw(1e-2) for name in used},
    labels,
    clip_norm=clip_norm,
    active=active,
  )
  trained = freeze.is_trained(labels, active)
  step = make_train_step(net.apply, TASK, tx, active=trained, **kwargs)
  return TrainState.create(net, labels, tx), step


def run(state, step, steps=3):
  step = jax.jit(step)
  for i in range(steps):
    state, metrics = step(state, small.batch(i))
  return state, metrics


def same(a, b):
  return jax.tree.map(lambda x, y: bool(jnp.array_equal(x, y)), a, b)


def test_frozen_leaves_and_collections_are_bitwise_unchanged():
  state, step = build(freeze.top_blocks(PARAMS, 1))
  after, _ = run(state, step)
  assert all(jax.tree.leaves(same(state.frozen, after.frozen)))
  stats, stats_after = (s.model_state["batch_stats"] for s in (state, after))
  assert all(jax.tree.leaves(same(stats["block_00"], stats_after["block_00"])))
  assert not any(
    jax.tree.leaves(same(stats["block_01"], stats_after["block_01"]))
  )
  assert not any(jax.tree.leaves(same(state.params, after.params)))
  assert int(after.step) == 3


def flops(state, step):
  compiled = jax.jit(step).lower(state, small.batch()).compile()
  return compiled.cost_analysis()["flops"]


def test_no_gradient_is_computed_for_frozen_leaves():
  # The gradient norm is logged and clipped, and still: a probe costs the
  # forward pass and the head's own gradient; nothing else runs backward.
  net = small.net()
  forward = jax.jit(lambda v, x: net.apply(v, x)["logits"])
  x = small.batch()["image"]
  cost = forward.lower(net.variables, x).compile().cost_analysis()["flops"]
  probe = flops(*build(freeze.linear_probe(PARAMS)))
  full = flops(*build(freeze.full(PARAMS)))
  matmuls = 2 * 16 * (5 * 8 + 8 * 16 + 16 * 16)  # The trunk, forward, b = 16.
  assert cost > matmuls
  assert full - probe > 1.9 * matmuls - 2 * 16 * 5 * 8  # No input gradient.
  head = 2 * 16 * 16 * 3
  assert probe - cost < 2 * head + 60 * 51 + 40 * 16 * 3


@pytest.mark.slow
def test_each_phase_of_a_gradual_schedule_costs_its_own_gradient():
  def cost(labels, active):
    tx = optim.by_label(
      {label: optax.sgd(0.1) for label in {*tree.flatten(labels).values()}},
      labels,
      active=active,
    )
    state = TrainState.create(NET, labels, tx)
    trained = freeze.is_trained(labels, active)
    return flops(state, make_train_step(NET.apply, TASK, tx, active=trained))

  labels, phases = unfreeze.gradual(
    freeze.label(PARAMS, freeze.full(PARAMS)), 1, frozenset({"head"})
  )
  got = [cost(labels, active) for active in phases]
  # As much as a run that never trains more, whose state holds no more.
  alone = [
    cost(freeze.label(PARAMS, rules), None)
    for rules in (freeze.linear_probe(PARAMS), freeze.top_blocks(PARAMS, 1))
  ]
  assert got[:2] == pytest.approx(alone, rel=0.005)
  # A phase adds the gradients of its kernels and of what is between them and
  # the phase before, for 16 rows; the lowest kernel's inputs need none.
  assert got[1] - got[0] > 2 * 16 * (16 * 16 + 16 * 3)
  assert got[2] - got[1] > 2 * 16 * (16 * 16 + 2 * 8 * 16 + 5 * 8)


def test_an_inactive_phase_moves_nothing_of_its_label():
  rules = freeze.full(PARAMS)
  state, step = build(rules, active=frozenset({"head"}))
  after, metrics = run(state, step)
  moved = tree.flatten(same(state.params, after.params))
  assert {n for n, still in moved.items() if not still} == {
    "head/bias",
    "head/kernel",
  }
  assert all(jax.tree.leaves(same(state.model_state, after.model_state)))
  # The same numbers as a plain linear probe.
  probe, probe_metrics = run(*build(freeze.linear_probe(PARAMS)))
  np.testing.assert_array_equal(
    probe.params["head"]["kernel"], after.params["head"]["kernel"]
  )
  assert float(metrics["grad_norm"]) == float(probe_metrics["grad_norm"])


def test_accumulation_equals_the_big_batch():
  # Frozen norms run on their statistics, so parts and whole see one function.
  rules = [("head/.*|stem/.*", "head"), (".*", "freeze")]
  for parts in (2, 4):
    whole, whole_metrics = run(*build(rules))
    split, split_metrics = run(*build(rules, accumulate=parts))
    for a, b in zip(
      jax.tree.leaves(whole.params), jax.tree.leaves(split.params), strict=True
    ):
      np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)
    assert float(split_metrics["loss"]) == pytest.approx(
      float(whole_metrics["loss"]), rel=1e-5
    )


def test_masked_rows_do_not_count():
  rules = freeze.linear_probe(PARAMS)
  batch = small.batch(rows=16)
  batch["mask"][10:] = 0
  short = {name: x[:10] for name, x in batch.items()}
  batch["image"][10:] = 1e3
  state, step = build(rules)
  a, metrics = jax.jit(step)(state, batch)
  b, short_metrics = jax.jit(step)(state, short)
  np.testing.assert_allclose(
    a.params["head"]["kernel"], b.params["head"]["kernel"], rtol=1e-5
  )
  assert float(metrics["loss"]) == pytest.approx(float(short_metrics["loss"]))


def test_one_update_equals_plain_sgd():
  labels = freeze.label(PARAMS, freeze.linear_probe(PARAMS))
  tx = optim.by_label({"head": optax.sgd(0.5)}, labels)
  state = TrainState.create(NET, labels, tx)
  after, _ = jax.jit(make_train_step(NET.apply, TASK, tx))(state, small.batch())
  batch = small.batch()
  features = np.asarray(NET.apply(NET.variables, batch["image"])["features"])
  logits = features @ np.asarray(PARAMS["head"]["kernel"])
  probs = np.exp(logits - logits.max(-1, keepdims=True))
  probs /= probs.sum(-1, keepdims=True)
  grad = features.T @ (probs - np.eye(3)[batch["label"]]) / 16
  np.testing.assert_allclose(
    after.params["head"]["kernel"],
    PARAMS["head"]["kernel"] - 0.5 * grad,
    rtol=1e-4,
    atol=1e-6,
  )


def test_lr_scale_scales_the_update():
  rules = freeze.linear_probe(PARAMS)
  state, step = build(rules)
  full, _ = jax.jit(step)(state, small.batch())
  half, _ = jax.jit(step)(
    state.replace(lr_scale=jnp.float32(0.5)), small.batch()
  )
  np.testing.assert_allclose(
    (half.params["head"]["bias"] - state.params["head"]["bias"]) * 2,
    full.params["head"]["bias"] - state.params["head"]["bias"],
    rtol=1e-5,
  )


def test_dropout_is_a_function_of_seed_step_and_attempt():
  net = small.net(dropout=0.5)
  state, step = build(freeze.full(PARAMS), net=net)
  loss = jax.jit(lambda s: step(s, small.batch())[1]["loss"])
  again = float(loss(state))
  assert float(loss(state)) == again
  assert float(loss(state.replace(step=jnp.int32(1)))) != again
  assert float(loss(state.replace(attempt=jnp.int32(1)))) != again


def test_a_new_state_owns_each_buffer_once():
  state, _ = build(freeze.full(PARAMS))
  leaves = [x for x in jax.tree.leaves(state) if x.dtype != state.key.dtype]
  pointers = [x.unsafe_buffer_pointer() for x in leaves]
  assert len(set(pointers)) == len(pointers)
  kept = {x.unsafe_buffer_pointer() for x in jax.tree.leaves(NET.variables)}
  assert not kept & set(pointers)


def test_eval_step_gives_a_row_an_example():
  out = jax.jit(make_eval_step(NET.apply, TASK))(NET.variables, small.batch())
  assert jax.tree.map(lambda x: x.shape, out) == {
    "values": {"loss": (16,), "accuracy": (16,)},
    "weight": (16,),
    "outputs": {"logits": (16, 3)},
  }


def test_importance_weighs_the_loss_and_not_the_metrics():
  # As torch's weighted cross-entropy: sum(w * loss) / sum(w).
  weight = jnp.array([1.0, 3.0, 0.5])
  task = dataclasses.replace(
    TASK, importance=lambda batch: weight[batch["label"]]
  )
  labels = freeze.label(PARAMS, freeze.full(PARAMS))
  tx = optim.by_label(
    {name: optax.sgd(0.0) for name in ("head", "backbone")}, labels
  )
  batch = small.batch()
  state = TrainState.create(NET, labels, tx)
  step = make_train_step(NET.apply, task, tx, hooks=Hooks(batch_norm="frozen"))
  _, metrics = jax.jit(step)(state, batch)
  seen = make_eval_step(NET.apply, TASK)(NET.variables, batch)["values"]
  factor = np.asarray(weight)[batch["label"]]
  assert metrics["loss"] == pytest.approx(
    np.average(seen["loss"], weights=factor), rel=1e-5
  )
  assert metrics["accuracy"] == pytest.approx(np.mean(seen["accuracy"]))


def test_the_policy_of_batch_norm_decides_over_statistics():
  moved = {}
  for policy in ("auto", "frozen", "update"):
    state, step = build(
      freeze.top_blocks(PARAMS, 1), hooks=Hooks(batch_norm=policy)
    )
    after, _ = run(state, step, steps=1)
    stats = [s.model_state["batch_stats"] for s in (state, after)]
    moved[policy] = {
      name: not all(jax.tree.leaves(same(stats[0][name], stats[1][name])))
      for name in stats[0]
    }
  assert moved["auto"] == {"block_00": False, "block_01": True}
  assert not any(moved["frozen"].values())
  assert all(moved["update"].values())


def test_augment_sees_a_key_of_the_step_and_average_sees_the_new_params():
  keys = []

  def augment(key, batch):
    keys.append(key)
    return {**batch, "image": batch["image"] * jax.random.uniform(key)}

  def average(before, params, opt_state, step):
    return jax.tree.map(lambda a, p: a + (p - a) / (step + 1), before, params)

  labels = freeze.label(PARAMS, freeze.linear_probe(PARAMS))
  tx = optim.by_label({"head": optax.sgd(0.1)}, labels)
  state = TrainState.create(NET, labels, tx, averaged=True)
  step = jax.jit(
    make_train_step(NET.apply, TASK, tx, hooks=Hooks(augment, average))
  )
  seen = [state.params]
  for i in range(3):
    state, _ = step(state, small.batch(i))
    seen.append(state.params)
  assert len(keys) == 1
  mean = jax.tree.map(lambda *x: sum(x) / 4, *seen)
  for a, b in zip(*map(jax.tree.leaves, (state.average, mean)), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
  head = state.eval_variables["params"]["head"]
  np.testing.assert_array_equal(head["kernel"], state.average["head"]["kernel"])


@pytest.mark.slow
def test_sam_takes_the_gradient_uphill_as_optax_does():
  labels = freeze.label(PARAMS, freeze.top_blocks(PARAMS, 1))
  # Statistics at rest: optax evaluates the loss at other weights.
  batch, rho = small.batch(), 0.05
  trained, frozen = tree.split(PARAMS, freeze.is_trained(labels))
  rest = {k: v for k, v in NET.variables.items() if k != "params"}

  def loss(params, _):
    variables = {"params": tree.merge(params, frozen), **rest}
    outputs = NET.apply(variables, batch["image"])
    return TASK.loss(outputs, batch).mean()

  sam = optax.contrib.sam(
    optax.sgd(0.1),
    optax.chain(optax.contrib.normalize(), optax.sgd(rho)),
    opaque_mode=True,
  )
  updates, _ = sam.update(
    jax.grad(loss)(trained, 0),
    sam.init(trained),
    trained,
    grad_fn=jax.grad(loss),
  )
  expected = optax.apply_updates(trained, updates)
  tx = optim.by_label({k: optax.sgd(0.1) for k in ("head", "backbone")}, labels)
  hooks = Hooks(batch_norm="frozen", sam_rho=rho)
  for accumulate in (1, 2):
    step = make_train_step(
      NET.apply, TASK, tx, hooks=hooks, accumulate=accumulate
    )
    after, _ = jax.jit(step)(TrainState.create(NET, labels, tx), batch)
    for a, b in zip(
      *map(jax.tree.leaves, (after.params, expected)), strict=True
    ):
      np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
  plain = make_train_step(NET.apply, TASK, tx, hooks=Hooks(batch_norm="frozen"))
  other, _ = jax.jit(plain)(TrainState.create(NET, labels, tx), batch)
  gap = jax.tree.map(
    lambda a, b: jnp.abs(a - b).max(), after.params, other.params
  )
  assert max(map(float, jax.tree.leaves(gap))) > 1e-5
