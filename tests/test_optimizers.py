"""Each optimizer against the formula that its paper gives, or torch's record.

`parity/test_optimizers_live.py` runs torch's own.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jft import optim, optimizers
from jft.errors import UserError
from jft.optimizers import Settings
from jft.tuning import freeze

START = np.array([[1.0, -2.0], [0.5, 3.0]])
STEPS = 5
LR = 0.1


def grads(w, t):
  """Of a bowl that moves."""
  return 2 * w - np.array([[t, 1.0], [-1.0, 0.3 * t]])


def followed(name, settings):
  """Returns the kernel after some updates."""
  tx = optimizers.make(name, optax.constant_schedule(LR), settings)
  w = {"kernel": jnp.asarray(START, jnp.float32)}
  state, update = tx.init(w), jax.jit(tx.update)
  for t in range(STEPS):
    g = {"kernel": jnp.asarray(grads(np.asarray(w["kernel"]), t), jnp.float32)}
    updates, state = update(g, state, w)
    w = optax.apply_updates(w, updates)
  return np.asarray(w["kernel"])


def by_hand(rule):
  w, memory = START.copy(), {}
  for t in range(STEPS):
    w = rule(w, grads(w, t), t + 1, memory)
  return w


def adamw(decay):
  def rule(w, g, t, m):
    m["m"] = 0.9 * m.get("m", 0) + 0.1 * g
    m["v"] = 0.999 * m.get("v", 0) + 0.001 * g**2
    first, second = m["m"] / (1 - 0.9**t), m["v"] / (1 - 0.999**t)
    return w - LR * (first / (np.sqrt(second) + 1e-8) + decay * w)

  return rule


def sgd(w, g, t, m):
  m["m"] = 0.9 * m.get("m", 0) + g
  return w - LR * (g + 0.9 * m["m"])


def lion(w, g, t, m):
  before = m.get("m", 0)
  m["m"] = 0.999 * before + 0.001 * g
  return w - LR * (np.sign(0.9 * before + 0.1 * g) + 0.1 * w)


def lamb(w, g, t, m):
  moved = w - adamw(0.0)(w, g, t, m)
  step = moved / LR + 0.1 * w
  ratio = np.linalg.norm(w) / np.linalg.norm(step)
  return w - LR * ratio * step


def lars(w, g, t, m):
  step = g + 0.1 * w
  ratio = 0.001 * np.linalg.norm(w) / np.linalg.norm(step)
  m["m"] = 0.9 * m.get("m", 0) - LR * ratio * step
  return w + m["m"]


def schedule_free(w, g, t, m):
  # Defazio et al., algorithm 1 with Adam's scaling; a constant rate.
  z, x = m.get("z", START), m.get("x", START)
  m["v"] = 0.999 * m.get("v", 0) + 0.001 * g**2
  scaled = g / (np.sqrt(m["v"] / (1 - 0.999**t)) + 1e-8)
  m["z"] = z - LR * (scaled + 0.1 * w)
  m["x"] = (1 - 1 / t) * x + m["z"] / t
  return 0.1 * m["z"] + 0.9 * m["x"]


@pytest.mark.parametrize(
  ("name", "rule", "decay"),
  [
    ("adamw", adamw(0.1), 0.1),
    ("adam", adamw(0.0), 0.0),
    ("sgd", sgd, 0.0),
    ("lion", lion, 0.1),
    ("lamb", lamb, 0.1),
    ("lars", lars, 0.1),
    ("schedule_free", schedule_free, 0.1),
  ],
)
def test_updates_are_the_published_ones(name, rule, decay):
  found = followed(name, Settings(weight_decay=decay))
  np.testing.assert_allclose(found, by_hand(rule), rtol=2e-5, atol=1e-5)


def test_muon_orthogonalises_hidden_kernels_and_nothing_else():
  tx = optimizers.make("muon", optax.constant_schedule(LR), Settings())
  w = {
    "block_00": {
      "kernel": jnp.asarray(START, jnp.float32),
      "bias": jnp.ones(2),
    },
    "head": {"kernel": jnp.asarray(START, jnp.float32)},
  }
  g = jax.tree.map(lambda x: 3 * x + 1, w)
  updates, _ = tx.update(g, tx.init(w), w)
  # Newton-Schulz takes all singular values to about 1 (0.7 to 1.2).
  values = np.linalg.svd(updates["block_00"]["kernel"] / LR, compute_uv=False)
  assert (values > 0.6).all()
  assert (values < 1.3).all()
  # Adam's first update, with Nesterov's correction: the sign, times
  # 0.9 * (1 - 0.9) / (1 - 0.9**2) + (1 - 0.9) / (1 - 0.9).
  size = LR * (0.9 * 0.1 / (1 - 0.9**2) + 1)
  for leaf in (updates["block_00"]["bias"], updates["head"]["kernel"]):
    np.testing.assert_allclose(np.abs(leaf), size, rtol=1e-4)


def test_adafactor_moves_by_the_rate_and_prodigy_finds_its_own():
  assert np.isfinite(followed("adafactor", Settings())).all()
  far = {"kernel": jnp.full((2, 2), 1.0)}
  tx = optimizers.make("prodigy", optax.constant_schedule(1.0), Settings())
  state, w, update = tx.init(far), far, jax.jit(tx.update)
  for _ in range(120):
    updates, state = update(jax.tree.map(lambda x: 2 * x, w), state, w)
    w = optax.apply_updates(w, updates)
  # From a first rate of 1e-6, with which it would still be where it was.
  assert np.abs(w["kernel"]).max() < 0.05


@pytest.mark.parametrize(
  "name", [name for name, found in optimizers.NAMES.items() if found.light]
)
def test_moments_in_bfloat16_take_half_the_room(name):
  w = {"kernel": jnp.zeros((8, 8))}
  sizes = []
  for dtype in (None, jnp.bfloat16):
    tx = optimizers.make(name, lambda c: 0.1, Settings(moments_dtype=dtype))
    leaves = [x for x in jax.tree.leaves(tx.init(w)) if x.shape == (8, 8)]
    sizes.append(leaves[0].nbytes)
    _, state = tx.update(w, tx.init(w), w)
    kept = [x for x in jax.tree.leaves(state) if x.shape == (8, 8)]
    assert kept[0].dtype == leaves[0].dtype
  assert sizes == [256, 128]


@pytest.mark.parametrize("name", sorted(optimizers.NAMES))
def test_every_optimizer_rests_and_donates_under_labels(name):
  params = {
    "head": {"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3)},
    "stem": {"kernel": jnp.ones((4, 4))},
  }
  labels = freeze.label(params, freeze.full(params))
  made = {
    label: optimizers.make(name, optax.constant_schedule(LR), Settings())
    for label in ("head", "backbone")
  }
  tx = optim.by_label(made, labels, active=frozenset({"head"}))
  state = jax.tree.map(jnp.copy, tx.init(params))

  def step(params, state):
    grads = jax.tree.map(lambda x: x + 1, params)
    updates, state = tx.update(grads, state, params)
    return optax.apply_updates(params, updates), state

  new, after = jax.jit(step, donate_argnums=1)(params, state)
  np.testing.assert_array_equal(new["stem"]["kernel"], params["stem"]["kernel"])
  assert not np.array_equal(new["head"]["kernel"], params["head"]["kernel"])
  fresh = tx.init(params)
  for a, b in zip(*map(jax.tree.leaves, (after, fresh)), strict=True):
    assert a.shape == b.shape
    assert a.dtype == b.dtype


def test_what_an_optimizer_does_not_have_is_refused():
  with pytest.raises(UserError, match=r"no optimizer 'adamm'.*adam"):
    optimizers.make("adamm", lambda c: 0.1, Settings())
  with pytest.raises(UserError, match="which 'sgd' does not have; use adamw"):
    optimizers.make("sgd", lambda c: 0.1, Settings(weight_decay=0.1))
  with pytest.raises(UserError, match=r"'lamb' cannot keep .* lion, muon can"):
    optimizers.make("lamb", lambda c: 0.1, Settings(moments_dtype=jnp.bfloat16))
