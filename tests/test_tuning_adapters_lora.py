"""LoRA, DoRA and PiSSA beside every kind of layer."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jft import tree
from jft.errors import UserError
from jft.tuning.adapters import combine, lora, pissa
from jft.tuning.adapters.dora import DoRA
from jft.tuning.adapters.lora import LoRA, Rank
from jft.tuning.adapters.method import ADAPTERS, wrap
from jft.tuning.adapters.pissa import PiSSA
from jft.tuning.adapters.sites import probe


class Small(nn.Module):
  """Words, a strided convolution over them, two axes in and out, and back."""

  groups: int = 1

  @nn.compact
  def __call__(self, ids, train=False):
    words = nn.Embed(7, 6, name="words")
    x = nn.Conv(6, (3,), 2, feature_group_count=self.groups, name="conv")(
      words(ids)
    )
    x = nn.DenseGeneral((2, 3), axis=-1, name="split")(x)
    x = nn.DenseGeneral(6, axis=(-2, -1), name="join")(x)
    x = nn.Dense(6, use_bias=False, name="mlp")(nn.tanh(x))
    return words.attend(x)


IDS = jnp.array([[1, 2, 3, 4], [5, 6, 0, 1]])
ALL = ".*/(kernel|embedding)"
KERNELS = ".*/kernel"


@functools.cache
def make(groups=1):
  net = Small(groups)
  params = jax.jit(net.init)(jax.random.key(0), IDS)["params"]

  def apply(variables, inputs, *, train=False, rngs=None):
    return net.apply(variables, inputs, train, rngs=rngs)

  return apply, params, probe(apply, {"params": params}, IDS)


def run(apply, method, params, own, **options):
  variables = {"params": {**params, ADAPTERS: {"one": own}}}
  wrapped = wrap(apply, {"one": method}, ["one"])
  return jax.jit(lambda v: wrapped(v, IDS, **options))(variables)


def plain(apply, params):
  return jax.jit(apply)({"params": params}, IDS)


def fresh_of(method, params, sites, key=1):
  """The method's tree, and the base beside it."""

  def start(params):
    own = method.init(params, jax.random.key(key), sites)
    return own, method.rebase(params, own)

  return jax.jit(start)(params)


def drawn(own):
  rng = np.random.default_rng(7)
  return tree.map_with_names(
    lambda name, x: x + rng.normal(0, 0.2, x.shape).astype(np.float32), own
  )


def test_a_fresh_one_changes_no_bit_and_has_these_shapes():
  apply, params, sites = make()
  method = LoRA([(ALL, Rank(2, 4.0))])
  own, _ = fresh_of(method, params, sites)
  shapes = {name: x.shape for name, x in tree.flatten(own).items()}
  assert shapes == {
    "conv/lora_a": (3, 6, 2),
    "conv/lora_b": (2, 6),
    "join/lora_a": (2, 3, 2),
    "join/lora_b": (2, 6),
    "mlp/lora_a": (6, 2),
    "mlp/lora_b": (2, 6),
    "split/lora_a": (6, 2),
    "split/lora_b": (2, 2, 3),
    "words/lora_a": (7, 2),
    "words/lora_b": (2, 6),
  }
  # Kaiming's uniform bound with a = sqrt(5), as peft draws: 1 / sqrt(fan in).
  assert 0.2 < float(jnp.abs(own["conv"]["lora_a"]).max()) <= 18**-0.5
  base = plain(apply, params)
  assert (run(apply, method, params, own) == base).all()


@pytest.mark.parametrize(
  ("method", "rules"),
  [
    (LoRA, [("mlp/.*", Rank(3, 1.0)), (ALL, Rank(2, 4.0))]),
    (DoRA, [(KERNELS, Rank(2, 4.0))]),
    (PiSSA, [("(mlp|join|split)/kernel", Rank(2, 4.0))]),
  ],
)
def test_beside_is_the_same_as_merged(method, rules):
  apply, params, sites = make()
  made = method(rules)
  fresh, base = fresh_of(made, params, sites)
  own = drawn(fresh)
  start = run(apply, made, base, fresh)
  np.testing.assert_allclose(start, plain(apply, params), atol=2e-6)
  merged = made.merge(base, own)
  want = plain(apply, merged)
  assert float(jnp.abs(want - start).max()) > 0.1
  np.testing.assert_allclose(run(apply, made, base, own), want, atol=2e-6)
  # By hand: of a matrix the product is that of two, times its factor.
  a, b = (np.array(own["mlp"][x], np.float64) for x in ("lora_a", "lora_b"))
  factor = 1 / 3 if method is LoRA else 2
  kernel = np.array(base["mlp"]["kernel"]) + factor * a @ b
  if method is DoRA:
    kernel *= np.array(own["mlp"]["lora_magnitude"]) / np.linalg.norm(
      kernel, axis=0
    )
  np.testing.assert_allclose(merged["mlp"]["kernel"], kernel, atol=1e-6)


def test_pissa_takes_the_largest_singular_values():
  _, params, sites = make()
  method = PiSSA([("mlp/kernel", Rank(2, 4.0))])
  own, base = fresh_of(method, params, sites)
  left = base["mlp"]["kernel"]
  whole = np.linalg.svd(params["mlp"]["kernel"], compute_uv=False)
  rest = np.linalg.svd(left, compute_uv=False)
  np.testing.assert_allclose(rest[:4], whole[2:], atol=1e-6)
  np.testing.assert_allclose(rest[4:], 0, atol=1e-6)
  as_lora, difference = pissa.as_lora(method, own, drawn(own))
  np.testing.assert_allclose(
    as_lora.merge(params, difference)["mlp"]["kernel"],
    method.merge(base, drawn(own))["mlp"]["kernel"],
    atol=1e-6,
  )


def test_the_rank_stabilized_scale():
  assert LoRA([(".*", Rank(16, 8.0))]).scale("x/kernel") == 0.5
  assert LoRA([(".*", Rank(16, 8.0))], 0.0, True).scale("x/kernel") == 2.0


@pytest.mark.parametrize("method", [LoRA, DoRA])
def test_dropout_is_of_the_side_path_alone(method):
  apply, params, sites = make()
  made = method([("mlp/kernel", Rank(2, 4.0))], dropout=0.5)
  own, _ = fresh_of(made, params, sites)
  base = plain(apply, params)

  @jax.jit
  def trained(own, key):
    rngs = {"dropout": jax.random.key(key)}
    return run(apply, made, params, own, train=True, rngs=rngs)

  np.testing.assert_allclose(trained(own, 0), base, atol=1e-6)
  own = drawn(own)
  assert (trained(own, 0) == trained(own, 0)).all()
  assert not (trained(own, 0) == trained(own, 1)).all()
  many = jax.jit(jax.vmap(lambda key: trained(own, key)))
  mean = many(jnp.arange(400)).mean(axis=0)
  want = run(apply, made, params, own)
  assert float(jnp.abs(mean - want).max()) < 0.2 * float(
    jnp.abs(want - base).max()
  )
  with pytest.raises(UserError, match="dropout needs rngs"):
    run(apply, made, params, own, train=True)


@pytest.mark.parametrize(
  ("method", "message"),
  [
    (LoRA([("mlp/kernl", Rank(2, 4.0))]), "matches none of the 8 names"),
    (LoRA([("mlp/kernel", Rank(7, 4.0))]), r"rank 7 for 'mlp/kernel' \[6, 6\]"),
    (LoRA([("mlp/kernel", Rank(0, 4.0))]), "it must be 1 to 6"),
    (LoRA([("mlp/kernel", None)]), "no rule gives a kernel an adapter"),
    (LoRA([("conv/bias", Rank(2, 4.0))]), "'conv/bias' is no kernel of"),
    (DoRA([(ALL, Rank(2, 4.0))]), "'words' is an embedding"),
    (PiSSA([(KERNELS, Rank(2, 4.0))]), "'conv' is of Conv"),
  ],
)
def test_what_does_not_fit_is_refused(method, message):
  _, params, sites = make()
  with pytest.raises(UserError, match=message):
    jax.eval_shape(lambda p: method.init(p, jax.random.key(0), sites), params)


def test_a_convolution_in_groups_is_refused():
  _, params, sites = make(groups=2)
  with pytest.raises(UserError, match="a convolution in 2 groups"):
    LoRA([(KERNELS, Rank(2, 4.0))]).init(params, jax.random.key(0), sites)


def test_the_combination_by_cat_is_the_weighted_sum():
  _, params, sites = make()
  some = "(mlp|conv)/kernel"
  one = LoRA([(some, Rank(2, 4.0))])
  two = LoRA([(some, Rank(3, 3.0))], rank_stabilized=True)
  trees = [
    drawn(fresh_of(m, params, sites, k)[0]) for k, m in enumerate((one, two))
  ]
  want = [
    m.products(t, tree.flatten(params))
    for m, t in zip((one, two), trees, strict=True)
  ]
  for how in ("cat", "svd"):
    method, own = combine.combine([one, two], trees, [0.5, -2.0], how)
    got = method.products(own, tree.flatten(params))
    for name, product in got.items():
      exact = 0.5 * want[0][name] - 2 * want[1][name]
      if how == "svd":  # the best of rank 3, by NumPy
        cut = lora.modules(own)[name.rpartition("/")[0]]["lora_a"].ndim - 1
        flat = np.reshape(exact, (int(np.prod(exact.shape[:cut])), -1))
        u, s, vt = np.linalg.svd(flat, full_matrices=False)
        exact = ((u[:, :3] * s[:3]) @ vt[:3]).reshape(exact.shape)
      np.testing.assert_allclose(product, exact, atol=2e-5)
  with pytest.raises(UserError, match="adds adapters of one rank"):
    combine.combine([one, two], trees, [1, 1], "linear")
  with pytest.raises(UserError, match="how='sum': choose one of"):
    combine.combine([one, two], trees, [1, 1], "sum")
  with pytest.raises(UserError, match="only LoRAs can be combined"):
    combine.combine([one, DoRA(one.rules)], trees, [1, 1], "cat")
