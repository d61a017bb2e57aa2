import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

from jft.optim import decay_mask
from jft.tuning import prodigy

START = {"kernel": jnp.float32([[1.0, -2.0], [0.5, 3.0]]), "bias": jnp.ones(2)}
ADAM = {"b1": 0.9, "b2": 0.999, "eps": 1e-8}


def grads(w):
  return jax.tree.map(lambda x: 2 * x - 0.5, w)


def followed(tx, steps, w=START, grads=grads):
  state, update = tx.init(w), jax.jit(tx.update)
  for _ in range(steps):
    updates, state = update(grads(w), state, w)
    w = optax.apply_updates(w, updates)
  return w, state


def all_of(params):
  return jax.tree.map(lambda _: True, params)


def made(rate, decay=0.0, mask=all_of):
  return prodigy.prodigy(rate, **ADAM, weight_decay=decay, mask=mask)


def test_it_finds_a_rate_from_one_of_a_millionth():
  w, state = followed(made(lambda count: 1.0), 120)
  assert max(np.abs(x - 0.25).max() for x in jax.tree.leaves(w)) < 0.05
  assert state.estim_lr > 1e-3


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_with_a_rate_and_a_gradient_it_is_optaxs(decay):
  rate = optax.constant_schedule(0.7)
  found = followed(made(rate, decay), 8)
  expected = followed(contrib.prodigy(rate, weight_decay=decay), 8)
  for a, b in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-9)


def test_decay_has_a_mask():
  rate = optax.constant_schedule(1.0)
  # One update: masked leaves would soon find another rate. It is a millionth.
  found, _ = followed(made(rate, 1e4, decay_mask()), 1)
  everywhere, _ = followed(made(rate, 1e4), 1)
  nowhere, _ = followed(made(rate), 1)
  np.testing.assert_array_equal(found["kernel"], everywhere["kernel"])
  np.testing.assert_array_equal(found["bias"], nowhere["bias"])
  assert not np.array_equal(everywhere["bias"], nowhere["bias"])


def test_a_warm_up_from_0_and_a_gradient_of_0_do_no_harm():
  warm = optax.linear_schedule(0.0, 1.0, 5)
  theirs, _ = followed(contrib.prodigy(warm), 2)
  assert np.isnan(theirs["bias"]).all()  # What this is for.
  w, _ = followed(made(warm), 120)
  assert max(np.abs(x - 0.25).max() for x in jax.tree.leaves(w)) < 0.05
  w, state = followed(made(lambda c: 1.0), 3, grads=optax.tree.zeros_like)
  for name, leaf in w.items():
    np.testing.assert_array_equal(leaf, START[name])
  assert state.count == 3


def test_a_gradient_that_is_no_number_is_seen():
  bad = {"kernel": jnp.full((2, 2), jnp.nan), "bias": jnp.ones(2)}
  w, _ = followed(made(lambda c: 1.0), 1, grads=lambda w: bad)
  assert np.isnan(w["kernel"]).all()
