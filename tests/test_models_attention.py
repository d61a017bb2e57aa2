"""Who computes attention, and that all of them compute the same."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.pallas.ops.tpu import splash_attention as splash

import jft
from jft.errors import UserError
from jft.models import attention, llama
from jft.models.attention import Sees, attend

B, N, HEADS, KV, D = 2, 10, 4, 2, 8
WINDOW = 4
SEGMENTS = np.array([[1] * 6 + [2] * 4, [0, 0] + [1] * 8], np.int32)


def qkv(dtype=jnp.float32, n=N, heads=(HEADS, KV, KV), d=D):
  rng = np.random.default_rng(0)
  return [jnp.asarray(rng.normal(size=(B, n, h, d)), dtype) for h in heads]


def mask(window=0):
  behind = np.arange(N)[:, None] - np.arange(N)
  seen = (behind >= 0) & (SEGMENTS[:, :, None] == SEGMENTS[:, None, :])
  return (seen & (behind < (window or N)))[:, None]


def by_numpy(query, key, value, seen, scale, cap):
  """The definition, head by head."""
  query, key, value = (np.asarray(x, np.float64) for x in (query, key, value))
  y = np.zeros_like(query)
  for b, h in np.ndindex(B, HEADS):
    of = h // (HEADS // KV)
    scores = scale * query[b, :, h] @ key[b, :, of].T
    scores = cap * np.tanh(scores / cap) if cap else scores
    weights = np.where(seen[b, 0], np.exp(scores), 0)
    weights /= weights.sum(-1, keepdims=True)
    y[b, :, h] = weights @ value[b, :, of]
  return y


@pytest.fixture
def on(monkeypatch):
  """Says that JAX computes on one device of another kind."""

  def on(platform, devices=1):
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    monkeypatch.setattr(jax, "device_count", lambda: devices)
    module = "jax._src.cudnn.fused_attention_stablehlo"
    monkeypatch.setattr(f"{module}.check_cudnn_version", lambda: 91000)

  return on


@pytest.fixture
def interpreted(on, monkeypatch):
  """Runs the kernel for TPU without one."""

  def interpreted():
    on("tpu")
    make = functools.partial(splash.make_splash_mha, interpret=True)
    monkeypatch.setattr(splash, "make_splash_mha", make)

  return interpreted


@pytest.mark.parametrize("cap", [0.0, 2.0])
def test_it_is_the_definition(cap):
  x, seen = qkv(), mask(WINDOW)
  got = attend(*x, Sees(jnp.asarray(seen)), scale=0.7, cap=cap)
  want = by_numpy(*x, seen, 0.7, cap)
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_weights_are_dropped_out_in_training_alone():
  x = qkv()

  class Drops(nn.Module):
    @nn.compact
    def __call__(self, train):
      drop = nn.Dropout(0.5, deterministic=not train)
      return attend(*x, Sees(), drop=drop)

  rngs = {"dropout": jax.random.key(0)}
  run = jax.jit(functools.partial(Drops().apply, {}), static_argnums=0)
  plain, dropped = run(False), run(True, rngs=rngs)
  np.testing.assert_allclose(plain, attend(*x, Sees()), rtol=1e-5, atol=1e-6)
  assert np.abs(dropped - plain).max() > 0.1


def test_the_kernel_for_tpu_computes_what_xla_does(interpreted):
  """In the interpreter: causal, packed, padded, windowed, capped, grouped."""
  x = qkv()
  sees = Sees(jnp.asarray(mask(WINDOW)), jnp.asarray(SEGMENTS), True, WINDOW)
  want = attend(*x, sees, scale=0.7, cap=2.0)
  interpreted()
  got = attend(*x, sees, scale=0.7, cap=2.0, by="flash")
  real = SEGMENTS > 0  # Padding sees other padding there.
  np.testing.assert_allclose(got[real], want[real], rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("causal", [True, False])
def test_gradients_of_the_kernel_for_tpu_are_xla_s(causal, interpreted):
  one = SEGMENTS[:, None, :]
  seen = mask() if causal else one[..., None] == one[:, :, None]
  sees = Sees(jnp.asarray(seen), jnp.asarray(SEGMENTS), causal)
  real = jnp.asarray(SEGMENTS > 0)[..., None, None]

  def loss(x, by):
    return ((attend(*x, sees, by=by) * real) ** 2).sum()

  want = jax.grad(loss)(qkv(), "xla")
  interpreted()
  got = jax.grad(loss)(qkv(), "flash")
  for one, other in zip(got, want, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def lowered(by, platform, dtype):
  """The program of a decoder's gradient, for a device that is not here."""
  config = llama.PRESETS["stories260k"]
  module = llama.module(config, 512, dtype=dtype, attention=by)
  ids = jnp.zeros((B, N), jnp.int32)
  inputs = {"input_ids": ids, "attention_mask": ids + 1}
  variables = jax.eval_shape(module.init, jax.random.key(0), inputs)

  def loss(variables):
    return module.apply(variables, inputs)["logits"].sum()

  trace = jax.jit(jax.grad(loss)).trace(variables)
  return trace.lower(lowering_platforms=(platform,)).as_text()


def test_programs_for_gpu_and_tpu_call_their_kernels(on):
  on("gpu")
  forth_and_back = ("__cudnn$fmhaScaleBiasSoftmax", "SoftmaxBackward")
  text = lowered("cudnn", "cuda", jnp.bfloat16)
  assert all(text.count(name) >= 5 for name in forth_and_back)
  assert "cudnn" not in lowered("auto", "cuda", jnp.float32)
  on("tpu")
  assert lowered("auto", "tpu", jnp.float32).count("tpu_custom_call") >= 3


@pytest.mark.parametrize(
  ("platform", "by", "change", "message"),
  [
    ("cpu", "cudnn", {}, "runs on a GPU, and JAX computes on cpu here"),
    ("gpu", "flash", {}, "runs on a TPU"),
    ("gpu", "cudnn", {"dtype": jnp.float32}, "in bfloat16 or float16, got f"),
    ("gpu", "cudnn", {"cap": 50.0}, "model's are capped at 50"),
    ("gpu", "cudnn", {"d": 12}, "a multiple of 8 channels, got 12"),
    ("gpu", "cudnn", {"n": 9}, "even number of tokens, got 9"),
    ("gpu", "cudnn", {"drop": 0.1}, "load with attention_dropout=0"),
    ("tpu", "flash", {"drop": 0.1}, "load with attention_dropout=0"),
    ("tpu", "flash", {"window": None}, "leave out scan=True"),
    ("cpu", "flahs", {}, "choose one of xla, cudnn, flash, auto"),
  ],
)
def test_what_a_kernel_cannot_do_is_refused(platform, by, change, message, on):
  rate, cap = change.get("drop", 0.0), change.get("cap", 0.0)
  n, d = change.get("n", N), change.get("d", D)
  seen = jnp.ones((B, 1, n, n), bool)
  sees = Sees(seen, None, True, change.get("window", 0))
  x = qkv(change.get("dtype", jnp.bfloat16), n=n, d=d)
  drop = nn.Dropout(rate, deterministic=False) if rate else None
  on(platform)
  with pytest.raises(UserError, match=message):
    attend(*x, sees, cap=cap, drop=drop, by=by)
  if by in attention.ATTENTIONS and not drop:
    attend(*x, sees, cap=cap, by="xla")


def test_on_several_tpus_the_kernel_is_taken_where_each_has_its_part(on):
  on("tpu", devices=8)
  with pytest.raises(UserError, match="not cut over several devices"):
    attend(*qkv(jnp.bfloat16), Sees(causal=True), by="flash")
  assert "tpu_custom_call" not in lowered("auto", "tpu", jnp.float32)


def test_a_family_without_attention_has_no_such_option():
  with pytest.raises(UserError, match="resnet has no option 'attention'"):
    jft.load_pretrained("jft:resnet14_mnist", attention="auto")


@pytest.mark.parametrize(
  "arch",
  [
    "smollm2_135m",
    "gpt2",
    "gemma_3_270m",
    "minilm_l6",
    "distilbert_base",
    "roberta_base",
    "vit_tiny_patch16_224",
  ],
)
def test_every_family_with_attention_hands_the_choice_on(arch):
  images = {"mean": (0.5,) * 3, "std": (0.5,) * 3} if "vit" in arch else {}
  with pytest.raises(UserError, match="attention='flash' runs on a TPU"):
    jft.init(
      arch,
      num_classes=2,
      key=jax.random.key(0),
      attention="flash",
      **images,
    )
