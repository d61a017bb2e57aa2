import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jft import optim, tree
from jft.errors import UserError
from jft.tuning import freeze

PARAMS = {
  "body": {"kernel": jnp.full((2,), 2.0), "bias": jnp.full((2,), 2.0)},
  "head": {"kernel": jnp.full((2,), 2.0)},
}
GRADS = jax.tree.map(jnp.ones_like, PARAMS)
LABELS = {"body": {"kernel": "freeze", "bias": "b"}, "head": {"kernel": "h"}}


def updates(tx, grads=GRADS, params=PARAMS):
  out, _state = tx.update(grads, tx.init(params), params)
  return {k: np.asarray(v).tolist() for k, v in tree.flatten(out).items()}


def test_each_label_moves_by_its_own_optimizer_and_frozen_not_at_all():
  tx = optim.by_label({"b": optax.sgd(0.1), "h": optax.sgd(1.0)}, LABELS)
  got = updates(tx)
  assert got["body/kernel"] == [0, 0]
  assert got["head/kernel"] == [-1, -1]
  np.testing.assert_allclose(got["body/bias"], -0.1)


def test_the_clip_sees_the_trained_leaves_alone():
  # Four ones are trained: norm 2. The frozen gradient of 1e6 must not count.
  grads = tree.merge(
    tree.split(GRADS, lambda n: n != "body/kernel")[0],
    {"body": {"kernel": jnp.full((2,), 1e6)}},
  )
  tx = optim.by_label(
    {"b": optax.sgd(1.0), "h": optax.sgd(1.0)}, LABELS, clip_norm=1.0
  )
  got = updates(tx, grads)
  np.testing.assert_allclose(got["head/kernel"], -0.5, rtol=1e-6)
  np.testing.assert_allclose(got["body/bias"], -0.5, rtol=1e-6)


def test_the_trainable_half_alone_gives_the_same_updates():
  tx = optim.by_label({"b": optax.adam(0.1), "h": optax.adam(1.0)}, LABELS)
  half = tree.split(PARAMS, lambda n: n != "body/kernel")[0]
  part = updates(tx, jax.tree.map(jnp.ones_like, half), half)
  whole = updates(tx)
  assert part == {name: whole[name] for name in part}
  assert len(part) == 2


def test_inactive_labels_rest_and_keep_the_states_structure():
  transforms = {"b": optax.adam(0.1), "h": optax.adam(0.1)}
  both = optim.by_label(transforms, LABELS)
  head = optim.by_label(transforms, LABELS, active=frozenset({"h"}))
  state = both.init(PARAMS)
  assert jax.tree.structure(state) == jax.tree.structure(head.init(PARAMS))
  out, state = head.update(GRADS, state, PARAMS)
  assert np.asarray(out["body"]["bias"]).tolist() == [0, 0]
  assert float(out["head"]["kernel"][0]) < 0
  inner = state[2].inner_states
  assert int(inner["h"].inner_state[0].count) == 1
  assert int(inner["b"].inner_state[0].count) == 0


def test_decay_spares_biases_and_scales_inside_a_label():
  adamw = optax.adamw(0.1, weight_decay=0.5, mask=optim.decay_mask())
  labels = jax.tree.map(lambda _: "all", PARAMS)
  zeros = jax.tree.map(jnp.zeros_like, PARAMS)
  got = updates(optim.by_label({"all": adamw}, labels), zeros)
  np.testing.assert_allclose(got["body/kernel"], -0.1 * 0.5 * 2.0, rtol=1e-6)
  np.testing.assert_allclose(got["head/kernel"], -0.1, rtol=1e-6)
  assert got["body/bias"] == [0, 0]


def test_adamw_equals_its_published_update():
  # Two steps of AdamW by hand (Loshchilov and Hutter, 2019, algorithm 2).
  lr, b1, b2, eps, decay = 0.01, 0.9, 0.999, 1e-8, 0.1
  grads, m, v, p = [0.3, -0.7], 0.0, 0.0, 2.0
  tx = optim.by_label(
    {"all": optax.adamw(lr, weight_decay=decay)}, {"head": {"kernel": "all"}}
  )
  params = {"head": {"kernel": jnp.asarray(p)}}
  state = tx.init(params)
  for t, g in enumerate(grads, 1):
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
    step = (m / (1 - b1**t)) / ((v / (1 - b2**t)) ** 0.5 + eps)
    p = p - lr * (step + decay * p)
    out, state = tx.update({"head": {"kernel": jnp.asarray(g)}}, state, params)
    params = optax.apply_updates(params, out)
    assert float(params["head"]["kernel"]) == pytest.approx(p, rel=1e-6)


@pytest.mark.parametrize(
  ("transforms", "active", "message"),
  [
    (["b"], None, "label 'h' has no transform"),
    (["b", "h", "haed"], None, "label 'haed' labels no leaf"),
    (["b", "h"], {"c"}, "label 'c' is active but unused"),
  ],
)
def test_labels_and_transforms_must_fit(transforms, active, message):
  with pytest.raises(UserError, match=message):
    optim.by_label(
      dict.fromkeys(transforms, optax.sgd(0.1)), LABELS, active=active
    )


def test_a_clip_of_zero_is_refused():
  with pytest.raises(UserError, match="clip_norm must be above 0"):
    optim.by_label({"b": optax.sgd(1), "h": optax.sgd(1)}, LABELS, clip_norm=0)


def head_and_block():
  draw = np.random.default_rng(0)
  shapes = {"head/kernel": (4, 3), "block_00/kernel": (5, 4)}
  shapes["block_00/bias"] = (4,)
  drawn = {n: jnp.float32(draw.normal(size=s)) for n, s in shapes.items()}
  return tree.unflatten(drawn)


def test_values_are_clipped_one_by_one():
  params = head_and_block()
  tx = optim.by_label(
    {"head": optax.sgd(1.0), "backbone": optax.sgd(1.0)},
    freeze.label(params, freeze.full(params)),
    clip=optim.clip_value(0.3),
  )
  updates, _ = tx.update(params, tx.init(params), params)
  for name, leaf in tree.flatten(params).items():
    found = tree.flatten(updates)[name]
    np.testing.assert_array_equal(found, -np.clip(leaf, -0.3, 0.3))


def test_the_adaptive_clip_goes_by_units_and_spares_the_head():
  params = head_and_block()
  grads = jax.tree.map(lambda x: jnp.cos(9 * x), params)
  tx = optim.by_label(
    {"head": optax.sgd(1.0), "backbone": optax.sgd(1.0)},
    freeze.label(params, freeze.full(params)),
    clip=optim.clip_adaptive(0.5),
  )
  updates, _ = jax.jit(tx.update)(grads, tx.init(params), params)
  updates, grads = tree.flatten(updates), tree.flatten(grads)
  np.testing.assert_array_equal(updates["head/kernel"], -grads["head/kernel"])
  clipped = 0
  for name in ("block_00/kernel", "block_00/bias"):
    w = np.asarray(tree.flatten(params)[name], np.float64)
    g = np.asarray(grads[name], np.float64)
    # Equation 3: a unit is a column of a kernel; a bias is one as a whole.
    norms = [np.linalg.norm(x, axis=0, keepdims=w.ndim > 1) for x in (w, g)]
    most = 0.5 * np.maximum(norms[0], 1e-3)
    expected = np.where(norms[1] > most, g * most / norms[1], g)
    np.testing.assert_allclose(updates[name], -expected, rtol=1e-5)
    clipped += np.sum(norms[1] > most)
  assert 0 < clipped < 5


@pytest.mark.parametrize("make", [optim.clip_value, optim.clip_adaptive])
def test_no_clip_is_at_zero(make):
  with pytest.raises(UserError, match="must be above 0"):
    make(0.0)
