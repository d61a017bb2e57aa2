import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jft import optim, optimizers
from jft.errors import UserError
from jft.tuning import average, freeze

PATH = [jnp.float32([3 * t, 1 - t]) for t in range(1, 9)]


def follow(fn, start=(0.0, 1.0)):
  mean = {"w": jnp.float32(start)}
  for step, w in enumerate(PATH, 1):
    mean = jax.jit(fn)(mean, {"w": w}, None, jnp.int32(step))
  return np.asarray(mean["w"])


def test_ema_is_the_closed_form():
  weights = 0.1 * 0.9 ** np.arange(7, -1, -1)
  expected = 0.9**8 * np.array([0.0, 1.0]) + weights @ np.stack(PATH)
  np.testing.assert_allclose(
    follow(average.ema(0.9, warmup=False)), expected, rtol=1e-5
  )


def test_a_warm_ema_begins_with_two_elevenths():
  fn = average.ema(0.999)
  moved = fn({"w": jnp.float32(0)}, {"w": jnp.float32(1)}, None, 1)
  np.testing.assert_allclose(moved["w"], 1 - 2 / 11, rtol=1e-6)


@pytest.mark.parametrize(("start", "every"), [(0, 1), (3, 1), (2, 3), (8, 1)])
def test_swa_is_the_mean_of_what_counts(start, every):
  # At update 0 there are the first weights.
  steps = range(start, 9, every)
  seen = [np.stack([np.array([0.0, 1.0]), *PATH])[t] for t in steps]
  np.testing.assert_allclose(
    follow(average.swa(start, every)), np.mean(seen, 0), rtol=1e-5
  )


def test_before_swa_begins_the_weights_stand_for_it():
  np.testing.assert_array_equal(follow(average.swa(100)), PATH[-1])


def test_schedule_free_gives_what_optax_evaluates_under_each_label():
  params = {"head": {"kernel": jnp.ones((2, 2))}, "stem": {"bias": jnp.ones(3)}}
  labels = freeze.label(params, freeze.full(params))
  settings = optimizers.Settings(weight_decay=0.1)
  rates = {"head": 0.1, "backbone": 0.02}
  made = {
    label: optimizers.make("schedule_free", lambda count, r=r: r, settings)
    for label, r in rates.items()
  }
  tx = optim.by_label(made, labels)
  alone = {
    name: optax.contrib.schedule_free_adamw(r, weight_decay=d)
    for name, r, d in (("head", 0.1, 0.1), ("stem", 0.02, 0.0))
  }
  state, mean, w = tx.init(params), params, params
  theirs = {
    name: (t.init(params[name]), params[name]) for name, t in alone.items()
  }
  for i in range(4):
    grads = jax.tree.map(lambda x, i=i: x * (i + 1) - 1, w)
    updates, state = tx.update(grads, state, w)
    w = optax.apply_updates(w, updates)
    mean = average.schedule_free()(mean, w, state, i)
    for name, t in alone.items():
      s, x = theirs[name]
      g = jax.tree.map(lambda x, i=i: x * (i + 1) - 1, x)
      u, s = t.update(g, s, x)
      theirs[name] = s, optax.apply_updates(x, u)
  for name, (s, x) in theirs.items():
    expected = optax.contrib.schedule_free_eval_params(s, x)
    for a, b in zip(*map(jax.tree.leaves, (mean[name], expected)), strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_what_cannot_be_meant_is_refused():
  with pytest.raises(UserError, match=r"decay=1.0 must be in \[0, 1\)"):
    average.ema(1.0)
  with pytest.raises(UserError, match="every_steps=0 at least 1"):
    average.swa(3, 0)
