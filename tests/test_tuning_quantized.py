import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jft import tree
from jft.errors import UserError
from jft.tuning import quantized

pytest.importorskip("qwix")

# Dettmers et al., 2023 (arXiv:2305.14314), appendix E.
NF4 = np.array(
  [
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
  ],
  np.float32,
)


def drawn(shape=(70, 33)):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def floats(kernel, kind):
  parts = quantized.quantize(jnp.asarray(kernel), kind)
  found = quantized.dequantize(*parts.values(), kernel.shape)
  return parts, np.asarray(found)


def test_nf4_is_the_published_table_in_blocks_of_64():
  kernel = drawn()
  parts, got = floats(kernel, "nf4")
  blocks = np.pad(kernel.T.reshape(-1), (0, -kernel.size % 64))
  blocks = blocks.reshape(-1, 64)
  scale = np.abs(blocks).max(1)
  nearest = np.abs((blocks / scale[:, None])[..., None] - NF4).argmin(-1)
  np.testing.assert_array_equal(parts["kernel_scale"], scale)
  np.testing.assert_array_equal(
    parts["kernel"], nearest[:, ::2] << 4 | nearest[:, 1::2]
  )
  want = (NF4[nearest] * scale[:, None]).reshape(-1)[: kernel.size]
  np.testing.assert_array_equal(got, want.reshape(33, 70).T)
  gap = np.abs(np.diff(NF4)).max() / 2
  bound = gap * np.repeat(scale, 64)[: kernel.size].reshape(33, 70).T
  assert (np.abs(got - kernel) <= bound + 1e-6).all()
  assert gap < 0.152


def test_int8_is_off_by_half_a_step_at_most():
  kernel = drawn()
  parts, got = floats(kernel, "int8")
  most = np.abs(kernel).max(0)
  np.testing.assert_allclose(parts["kernel_scale"], most / 127.5, rtol=1e-6)
  steps = kernel / np.asarray(parts["kernel_scale"])
  codes = np.asarray(parts["kernel"], np.float32)
  assert (np.abs(codes - steps) <= 0.5 + 1e-4).all()
  np.testing.assert_allclose(got, codes * (most / 127.5), rtol=1e-6)
  assert (np.abs(got - kernel) <= most / 255 + 1e-6).all()


@pytest.mark.parametrize("kind", quantized.KINDS)
def test_zeros_stay_zeros(kind):
  _, got = floats(np.zeros((64, 4), np.float32), kind)
  np.testing.assert_array_equal(got, 0)


def test_bytes_of_a_kernel():
  kernel = drawn((256, 128))
  sizes = {
    kind: tree.nbytes(quantized.quantize(jnp.asarray(kernel), kind))
    for kind in quantized.KINDS
  }
  # 8 bits and a float an output; 4 bits and a float for 64 values.
  assert sizes == {"int8": 32768 + 4 * 128, "nf4": 16384 + 4 * 512}
  for kind in quantized.KINDS:
    parts = quantized.quantize(jnp.asarray(kernel), kind)
    assert quantized.count({"fc": {**parts, "bias": kernel[0]}}) == 32768 + 128


class _Two(nn.Module):
  @nn.compact
  def __call__(self, x):
    return nn.Dense(3, name="b")(nn.relu(nn.Dense(64, name="a")(x)))


@pytest.mark.parametrize("kind", quantized.KINDS)
def test_a_layer_computes_with_what_its_codes_stand_for(kind):
  x = jnp.asarray(drawn((5, 16)))
  params = _Two().init(jax.random.key(0), x)["params"]
  codes = quantized.quantize_params(params, kind, "a/kernel".__eq__)
  plain = quantized.dequantize_params(codes, {"a/kernel": (16, 64)})
  apply = quantized.wrap(_Two().apply)

  def loss(run, params, x, bias):
    params = {**params, "a": {**params["a"], "bias": bias}}
    return (run({"params": params}, x) ** 2).sum()

  bias = params["a"]["bias"] + 0.1
  both = [
    jax.value_and_grad(loss, argnums=(2, 3))(run, tree_, x, bias)
    for run, tree_ in ((apply, codes), (_Two().apply, plain))
  ]
  for got, want in zip(*map(jax.tree.leaves, both), strict=True):
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_between_forward_and_backward_nothing_but_codes_is_kept():
  x = jnp.ones((4, 256))
  module = nn.Dense(256)
  params = module.init(jax.random.key(0), x)["params"]
  codes = quantized.quantize_params(params, "nf4", "kernel".__eq__)
  apply = quantized.wrap(module.apply)
  _, back = jax.vjp(lambda x: apply({"params": codes}, x), x)
  kept = [leaf for leaf in jax.tree.leaves(back) if hasattr(leaf, "dtype")]
  assert tree.nbytes(kept) < 256 * 256


def test_what_is_no_kind():
  with pytest.raises(UserError, match="'int4' is none of int8, nf4"):
    quantized.quantize(jnp.ones((2, 2)), "int4")
