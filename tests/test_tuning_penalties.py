import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jft import optim, tree
from jft.tuning import freeze, penalties

KEYS = jax.random.split(jax.random.key(0), 8)
SHAPES = {
  "head/kernel": (3, 2),
  "head/bias": (2,),
  "stem/kernel": (2, 3),
  "stem/bias": (3,),
}


def drawn(i):
  return tree.unflatten(
    {
      name: jax.random.normal(jax.random.fold_in(KEYS[i], j), shape)
      for j, (name, shape) in enumerate(SHAPES.items())
    }
  )


START, PARAMS, GRADS = drawn(0), drawn(1), drawn(2)


def written_out(kind):
  def penalty(params):
    total = 0.0
    for name, w in tree.flatten(params).items():
      if kind == "l1" and name.endswith("kernel"):
        total += 0.3 * jnp.abs(w).sum()
      if kind == "l2" and name.endswith("kernel"):
        total += 0.3 / 2 * (w**2).sum()
      if kind == "l2_sp":
        start = tree.flatten(START)[name]
        away = w if name.startswith("head/") else w - start
        factor = 0.2 if name.startswith("head/") else 0.5
        total += factor / 2 * (away**2).sum()
    return total

  return penalty


@pytest.mark.parametrize("kind", ["l1", "l2", "l2_sp"])
def test_the_gradient_is_that_of_the_written_out_penalty(kind):
  tx = {
    "l1": penalties.l1(0.3, optim.NO_DECAY),
    "l2": penalties.l2(0.3, optim.NO_DECAY),
    "l2_sp": penalties.l2_sp(0.5, 0.2, [(".*", True)]),
  }[kind]
  state = tx.init(START)
  updates, again = jax.jit(tx.update)(GRADS, state, PARAMS)
  expected = jax.tree.map(jnp.add, GRADS, jax.grad(written_out(kind))(PARAMS))
  for a, b in zip(*map(jax.tree.leaves, (updates, expected)), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
  for a, b in zip(*map(jax.tree.leaves, (state, again)), strict=True):
    np.testing.assert_array_equal(a, b)


def test_it_stands_before_the_clip_and_does_not_move_what_rests():
  labels = freeze.label(START, freeze.full(START))
  tx = optim.by_label(
    {"head": optax.sgd(1.0), "backbone": optax.sgd(1.0)},
    labels,
    clip_norm=0.1,
    penalty=penalties.l2_sp(5.0, 5.0, [(".*", True)]),
    active=frozenset({"head"}),
  )
  updates, _ = tx.update(GRADS, tx.init(START), PARAMS)
  assert not any(np.any(leaf) for leaf in jax.tree.leaves(updates["stem"]))
  norm = optax.tree.norm(updates["head"])
  np.testing.assert_allclose(norm, 0.1, rtol=1e-5)
  wanted = jax.tree.map(
    lambda g, w: -(g + 5 * w), GRADS["head"], PARAMS["head"]
  )
  scale = 0.1 / optax.tree.norm(wanted)
  for a, b in zip(
    *map(jax.tree.leaves, (updates["head"], wanted)), strict=True
  ):
    np.testing.assert_allclose(a, b * scale, rtol=1e-4)
