import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

from jft.tuning import schedule_free

START = np.float32([1.0, -2.0, 3.0])
ADAM = {"b1": 0.9, "b2": 0.999, "eps": 1e-8}


def followed(scale, steps=4):
  """Returns the trained weights, optax's average and the state."""
  tx = schedule_free.adamw(optax.constant_schedule(0.1), **ADAM)
  w = jnp.asarray(START)
  state, update = tx.init(w), jax.jit(tx.update)
  for _ in range(steps):
    updates, state = update(2 * w - 1, state, w, lr_scale=scale)
    w = optax.apply_updates(w, jax.tree.map(lambda u: u * scale, updates))
  return w, contrib.schedule_free_eval_params(state, w), state


def by_hand(scale, steps=4):
  """The paper's algorithm 1, all three weights moving by the scale."""
  z = x = y = START.astype(np.float64)
  second = 0.0
  for t in range(1, steps + 1):
    g = 2 * y - 1
    second = 0.999 * second + 0.001 * g**2
    new = z - 0.1 * g / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
    x, z = x + scale * ((new - x) / t), z + scale * (new - z)
    y = 0.1 * z + 0.9 * x
  return y, x


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_cut_rate_moves_weights_and_average_alike(scale):
  y, x, _ = followed(jnp.float32(scale))
  for found, expected in zip((y, x), by_hand(scale), strict=True):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_without_a_cut_it_is_optaxs_to_the_bit():
  theirs = contrib.schedule_free(
    optax.chain(
      optax.scale_by_rms(0.999, 1e-8, eps_in_sqrt=False, bias_correction=True),
      optax.add_decayed_weights(0.0),
      optax.scale_by_learning_rate(lambda count: 0.1),
    ),
    lambda count: 0.1,
  )
  w = jnp.asarray(START)
  _, expected = theirs.update(2 * w - 1, theirs.init(w), w)
  tx = schedule_free.adamw(lambda count: 0.1, **ADAM)
  _, found = tx.update(2 * w - 1, tx.init(w), w)
  np.testing.assert_array_equal(found.z, expected.z)
