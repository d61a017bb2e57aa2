"""Own models, Linen and NNX: loaded, trained and refused like any other."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import nnx

import jft
from jft import net, tasks, tree
from jft.errors import UserError
from jft.pretrained.formats import safetensors
from jft.pretrained.layouts import Entry
from jft.state import TrainState
from jft.step import make_train_step
from jft.tuning import freeze

KEY = jax.random.key(0, impl="rbg")
IMAGE = jnp.zeros((1, 4, 4, 3))
RNG = np.random.default_rng(0)
SOURCE = {
  "conv.weight": RNG.normal(size=(4, 3, 3, 3)).astype(np.float32),
  "bn.weight": RNG.uniform(0.5, 1, 4).astype(np.float32),
  "bn.bias": RNG.normal(size=4).astype(np.float32),
  "bn.running_mean": RNG.normal(size=4).astype(np.float32),
  "bn.running_var": RNG.uniform(0.5, 1, 4).astype(np.float32),
  "fc.weight": RNG.normal(size=(2, 4)).astype(np.float32),
  "fc.bias": RNG.normal(size=2).astype(np.float32),
}
TABLE = {
  "params/conv/kernel": Entry("conv.weight", "conv"),
  "params/norm/scale": "bn.weight",
  "params/norm/bias": "bn.bias",
  "batch_stats/norm/mean": "bn.running_mean",
  "batch_stats/norm/var": "bn.running_var",
  "params/out/kernel": Entry("fc.weight", "dense"),
  "params/out/bias": "fc.bias",
}
BATCH = {
  "image": RNG.normal(size=(4, 4, 4, 3)).astype(np.float32),
  "label": np.array([0, 1, 1, 0], np.int32),
  "mask": np.ones(4, np.float32),
  "id": np.arange(4, dtype=np.int32),
}


class Linen(nn.Module):
  """A convolution, a norm, a mean and a dense layer."""

  @nn.compact
  def __call__(self, x, *, train=False, axis_name=None):
    x = nn.Conv(4, (3, 3), use_bias=False, name="conv")(x)
    x = nn.BatchNorm(not train, axis_name=axis_name, name="norm")(x)
    return nn.Dense(2, name="out")(nn.relu(x).mean((1, 2)))


class Nnx(nnx.Module):
  """The same."""

  def __init__(self, rngs):
    self.conv = nnx.Conv(3, 4, (3, 3), use_bias=False, rngs=rngs)
    self.norm = nnx.BatchNorm(4, rngs=rngs)
    self.drop = nnx.Dropout(0.0, rngs=rngs)
    self.out = nnx.Linear(4, 2, rngs=rngs)

  def __call__(self, x):
    x = nnx.relu(self.norm(self.conv(x))).mean((1, 2))
    return self.out(self.drop(x))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  path = tmp_path_factory.mktemp("own") / "own.safetensors"
  safetensors.write(path, SOURCE)
  return str(path)


def owns():
  return {
    "linen": jft.Own(Linen(), IMAGE, TABLE),
    "nnx": jft.Own(Nnx(nnx.Rngs(0)), IMAGE, TABLE),
  }


def by_hand(image):
  """What the source's network is, in NumPy."""
  padded = np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))
  patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
  x = np.einsum("bhwcij,ocij->bhwo", patches, SOURCE["conv.weight"])
  x = (x - SOURCE["bn.running_mean"]) / np.sqrt(SOURCE["bn.running_var"] + 1e-5)
  x = np.maximum(x * SOURCE["bn.weight"] + SOURCE["bn.bias"], 0).mean((1, 2))
  return x @ SOURCE["fc.weight"].T + SOURCE["fc.bias"]


@pytest.mark.parametrize("kind", ["linen", "nnx"])
def test_it_computes_what_the_source_did(source, kind):
  made = jft.load_pretrained(source, arch=owns()[kind])
  assert made.report.counts() == {"loaded": 7}
  out = made.apply(made.variables, BATCH["image"])
  np.testing.assert_allclose(out["logits"], by_hand(BATCH["image"]), atol=1e-5)


@pytest.mark.parametrize("frozen", [False, True])
def test_linen_and_nnx_train_alike(source, frozen):
  rules = [("out/.*", "head"), (".*", "freeze" if frozen else "head")]
  after = {}
  for kind, own in owns().items():
    made = jft.load_pretrained(source, arch=own)
    labels = freeze.label(made.params, rules)
    tx = jft.optim.by_label({"head": optax.sgd(0.1)}, labels)
    state = TrainState.create(made, labels, tx)
    step = make_train_step(made.apply, tasks.classification(), tx)
    state, metrics = jax.jit(step)(state, BATCH)
    after[kind] = tree.flatten(state.variables), metrics["loss"], made
  for name, value in after["linen"][0].items():
    np.testing.assert_allclose(
      value, after["nnx"][0][name], rtol=1e-4, atol=1e-6, err_msg=name
    )
  np.testing.assert_allclose(after["linen"][1], after["nnx"][1], rtol=1e-5)
  before = tree.flatten(after["nnx"][2].variables)
  moved = {
    name for name in before if (before[name] != after["nnx"][0][name]).any()
  }
  heads = {"params/out/kernel", "params/out/bias"}
  assert moved == (heads if frozen else set(before))


def test_an_own_model_starts_anew_where_asked(source):
  made = jft.load_pretrained(
    source, arch=owns()["linen"], reinit=["params/out/.*"], key=KEY
  )
  assert made.report.counts() == {"loaded": 5, "reinit": 2}
  assert not np.array(made.params["out"]["bias"]).any()


def test_names_that_are_the_sources_own_need_no_table(tmp_path):
  own = jft.Own(Linen(), IMAGE)
  made = jft.init(own, key=KEY)
  path = tmp_path / "same.safetensors"
  flat = {k: np.asarray(v) for k, v in tree.flatten(made.variables).items()}
  safetensors.write(path, flat)
  again = jft.load_pretrained(str(path), arch=own)
  assert again.report.counts() == {"loaded": 7}


def test_what_is_refused(source):
  own = owns()["linen"]
  with pytest.raises(UserError, match="num_classes is for jft's own"):
    jft.load_pretrained(source, arch=own, num_classes=3)
  with pytest.raises(UserError, match="remat is for jft's own"):
    jft.load_pretrained(source, arch=own, remat=True)
  with pytest.raises(UserError, match="Linen or an NNX module, got function"):
    jft.load_pretrained(source, arch=jft.Own(by_hand, IMAGE))
  less = {k: v for k, v in TABLE.items() if k != "params/out/bias"}
  with pytest.raises(UserError, match=r"params/out/bias \(2,\): not in the n"):
    jft.load_pretrained(source, arch=jft.Own(Linen(), IMAGE, less))
  with pytest.raises(UserError, match="needs num_classes"):
    net.init("resnet18", key=KEY)


def test_statistics_of_many_devices_need_an_axis_name():
  made = jft.init(jft.Own(Nnx(nnx.Rngs(0)), IMAGE), key=KEY)

  def run(x):
    return made.apply(
      made.variables, x, train=True, mutable=["batch_stats"], axis_name="data"
    )[1]

  one, two = (jnp.zeros((n, 1, 4, 4, 3)) for n in (1, 2))
  jax.eval_shape(jax.vmap(run, axis_name="data"), one)
  with pytest.raises(UserError, match="takes no axis_name"):
    jax.eval_shape(jax.vmap(run, axis_name="data"), two)
