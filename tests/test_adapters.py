"""Networks with adapters: merged, switched, taken apart, and what they cost."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

import jft
from jft import tree
from jft.insight import costs
from jft.models.own import nn
from jft.tuning import freeze
from jft.tuning.adapters import targets
from jft.tuning.adapters.method import ADAPTERS

RANK = jft.adapters.Rank(2, 8.0)
BATCH = {
  "input_ids": jnp.array([[2, 5, 7, 3], [2, 6, 3, 0]]),
  "attention_mask": jnp.array([[1, 1, 1, 1], [1, 1, 1, 0]]),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
  made = {}
  for name, write in (("bert", tiny.write_bert), ("llama", tiny.write_llama)):
    made[name] = tmp_path_factory.mktemp(name)
    write(made[name])
  return made


def dense(net):
  return targets.dense(jft.adapters.sites(net))


def adapted(net, name="default", seed=1):
  method = jft.adapters.LoRA([(dense(net), RANK)])
  return jft.adapters.add(net, method, name, key=jax.random.key(seed))


def trained(net, name="default"):
  """As if that adapter had been trained."""
  trees = dict(net.params[ADAPTERS])
  trees[name] = jax.tree.map(
    lambda x: x + 0.1 * jax.random.normal(jax.random.key(3), x.shape),
    trees[name],
  )
  variables = {**net.variables, "params": {**net.params, ADAPTERS: trees}}
  return dataclasses.replace(net, variables=variables)


def logits(net, variables=None):
  apply = jax.jit(net.apply)
  return np.asarray(apply(variables or net.variables, BATCH)["logits"])


def test_merge_passes_the_gate_and_unmerge_is_bit_exact(folders):
  net = jft.load_pretrained(str(folders["bert"]))
  before = tree.flatten(net.variables)
  fresh = adapted(net)
  with pytest.raises(jft.UserError, match="change no output"):
    jft.adapters.merge(fresh, BATCH)
  made = trained(fresh)
  merged = jft.adapters.merge(made, BATCH)
  assert tree.flatten(merged.variables).keys() == before.keys()
  assert 0 < merged.difference < 1e-5
  np.testing.assert_allclose(logits(merged), logits(made), atol=1e-5)
  assert np.abs(logits(merged) - logits(net)).max() > 0.01
  with pytest.raises(jft.UserError, match=r"differ by .* more than 0e\+00"):
    jft.adapters.merge(made, BATCH, tolerance=0.0)
  back = jft.adapters.unmerge(merged)
  assert tiny.same_bits(tree.flatten(jft.adapters.bare(back).variables), before)
  assert fresh.report.counts() == {"loaded": 25, "reinit": 14}


def test_several_adapters_are_switched_and_weighed(folders):
  net = jft.load_pretrained(str(folders["bert"]))
  both = adapted(adapted(net, "one"), "two", seed=2)
  both = trained(trained(both, "one"), "two")
  assert both.active == ("one", "two")
  base, switch = logits(net), jft.adapters.switch
  assert tiny.same_bits({"": logits(switch(both))}, {"": base})
  one = logits(switch(both, "one"))
  assert np.abs(one - logits(switch(both, "two"))).max() > 1e-3
  summed = jft.adapters.weighted(both, {"one": 1.0, "two": 1.0}, "sum")
  assert summed.active == ("sum",)
  np.testing.assert_allclose(logits(summed), logits(both), atol=1e-5)
  half = jft.adapters.weighted(both, {"one": 1.0, "two": 0.0}, "half")
  np.testing.assert_allclose(logits(half), one, atol=1e-5)
  with pytest.raises(jft.UserError, match=r"no adapter 'on'.*'one'"):
    switch(both, "on")
  with pytest.raises(jft.UserError, match="the name is taken"):
    adapted(both, "two")


@pytest.mark.slow
def test_recomputed_blocks_give_the_same_gradients(folders):
  got = []
  for remat in (False, True):
    net = trained(
      adapted(jft.load_pretrained(str(folders["llama"]), remat=remat))
    )

    def loss(own, net=net):
      params = {**net.params, ADAPTERS: own}
      return net.apply({"params": params}, BATCH)["logits"].sum()

    got.append(tree.flatten(jax.jit(jax.grad(loss))(net.params[ADAPTERS])))
  for name, x in got[0].items():
    np.testing.assert_allclose(got[1][name], x, rtol=1e-4, atol=1e-4)
    assert np.abs(x).max() > 0, name


def test_blocks_in_one_loop_are_refused(folders):
  net = jft.load_pretrained(str(folders["llama"]), scan=True)
  method = jft.adapters.LoRA([(r"block_.*/query/kernel", RANK)])
  with pytest.raises(jft.UserError, match="load it with scan=False"):
    jft.adapters.add(net, method, key=jax.random.key(0))


def test_own_models_are_refused():
  own = jft.Own(nn.Dense(3), jnp.zeros((1, 2)))
  net = jft.init(own, key=jax.random.key(0))
  method = jft.adapters.LoRA([("kernel", RANK)])
  with pytest.raises(jft.UserError, match="for jft's own architectures"):
    jft.adapters.add(net, method, key=jax.random.key(0))


def test_in_bfloat16(folders):
  net = trained(
    adapted(jft.load_pretrained(str(folders["bert"]), dtype=jnp.bfloat16))
  )
  merged = jft.adapters.merge(net, BATCH)
  assert merged.difference < 3e-2
  assert jax.jit(net.apply)(net.variables, BATCH)["logits"].dtype == "bfloat16"


@pytest.mark.slow
def test_pmap_jit_and_accumulation_agree(folders):
  # Parts of a batch, and the whole, draw their dropout differently.
  still = {"dropout": 0.0, "attention_dropout": 0.0, "head_dropout": 0.0}
  net = adapted(
    jft.load_pretrained(
      str(folders["bert"]), num_classes=2, key=jax.random.key(0), **still
    )
  )
  labels = freeze.label(net.params, freeze.adapter(net.params, apart=True))
  tx = jft.optim.by_label(
    {
      "head": optax.sgd(0.1),
      "adapter": optax.sgd(0.1),
      "adapter_b": optax.sgd(1.6),
    },
    labels,
  )
  task = jft.tasks.classification()
  batch = {
    **{name: np.tile(x, (2, 1)) for name, x in BATCH.items()},
    "label": np.array([0, 1, 1, 0]),
    "mask": np.ones(4, np.float32),
  }
  found = []
  for mapper, parts in (
    (jft.parallel.pmap, 1),
    (jft.parallel.jit, 1),
    (jft.parallel.jit, 2),
  ):
    made = jft.make_train_step(net.apply, task, tx, accumulate=parts)
    step = mapper(made, jft.parallel.data_mesh(jax.devices()[:1]))
    state = step.replicate(jft.TrainState.create(net, labels, tx))
    state, _ = step(state, step.place(batch))
    found.append(tree.flatten(jax.device_get(state.params)))
  assert {name.split("/")[0] for name in found[0]} == {ADAPTERS, "head"}
  moved = found[0][f"{ADAPTERS}/default/block_00/mlp/up/lora_b"]
  assert np.abs(moved).max() > 0
  for other in found[1:]:
    for name, x in found[0].items():
      largest = np.abs(x).max()
      np.testing.assert_allclose(other[name], x, atol=1e-4 * largest)


def test_what_lora_costs():
  """Of a full step's FLOPs: no gradient of a frozen kernel is computed."""
  net = jft.init("bert_tiny", num_classes=2, key=jax.random.key(0))
  ids = jax.ShapeDtypeStruct((4, 32), jnp.int32)
  inputs = {"input_ids": ids, "attention_mask": ids}
  made = adapted(net)

  def flops(of, active):
    shapes = costs.shapes(of.variables)
    return costs.step_flops(of.apply, shapes, inputs, active)

  full = flops(net, lambda name: True)
  beside = flops(made, lambda name: name.startswith((ADAPTERS, "head/")))
  assert beside / full == pytest.approx(0.668, abs=0.005)
