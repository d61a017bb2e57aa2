"""The config's adapter: what contradicts it, what it adds, what is trained."""

import jax
import numpy as np
import pytest
import tiny

from jft import config as configs
from jft import tree
from jft.build.check import check
from jft.build.model import load_net
from jft.build.tuning import make_tuning
from jft.errors import UserError

NAMES = ("bad", "good")


def recipe(*more):
  return configs.load(
    "default",
    ["model.source=x", "data.train=sklearn:digits", "train.steps=10", *more],
  )


@pytest.mark.parametrize(
  ("overrides", "message"),
  [
    (["adapter.name=lorra"], r"adapter.name='lorra': .* mean 'lora'"),
    (["adapter.rank=0"], "adapter.rank=0 and adapter.alpha=16.0 must be above"),
    (["adapter.dropout=1.0"], "adapter.dropout=1.0 is a share"),
    (["adapter.targets=attn"], "adapter.targets='attn': choose one of"),
    (["adapter.targets="], "give exactly one; rules need adapter.targets=''"),
    (
      ["adapter.targets=", "adapter.rules=(('a', 'b'),)"],
      r"adapter.rules holds \('a', 'b'\)",
    ),
    (["adapter.lora_plus_ratio=0.0"], "adapter.lora_plus_ratio=0.0 must be"),
    (
      ["tune.preset=linear_probe"],
      "tune.preset='linear_probe' contradicts adapter.name='lora'",
    ),
    (
      ["tune.unfreeze=gradual", "tune.unfreeze_every_steps=2"],
      "tune.unfreeze='gradual' contradicts adapter.name='lora'",
    ),
  ],
)
def test_what_cannot_be_meant_is_refused(overrides, message):
  with pytest.raises(UserError, match=message):
    check(recipe("adapter.name=lora", *overrides))


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
  folder = tmp_path_factory.mktemp("bert")
  tiny.write_bert(folder)
  return folder


def made(bert, *more):
  config = recipe(f"model.source={bert}", *more)
  check(config)
  return config, load_net(config, NAMES)


def test_adapter_and_head_are_trained_and_lora_plus_has_its_rate(bert):
  config, net = made(
    bert,
    *("adapter.name=rslora", "adapter.targets=attention", "adapter.rank=4"),
    *("adapter.lora_plus_ratio=16.0", "optim.lr=0.001"),
    "optim.schedule=constant",
  )
  tuning = make_tuning(config, net.params, 10)
  labels = tree.flatten(tuning.labels)
  block = "adapters/default/block_00/attention"
  assert {name: x for name, x in labels.items() if x != "freeze"} == {
    **{
      f"{block}/{layer}/lora_{half}": label
      for layer in ("key", "out", "query", "value")
      for half, label in (("a", "adapter"), ("b", "adapter_b"))
    },
    "head/bias": "head",
    "head/kernel": "head",
  }
  assert tuning.lr_at(0) == pytest.approx(
    {"lr/adapter": 0.001, "lr/adapter_b": 0.016, "lr/head": 0.001}
  )
  assert net.methods["default"].scale("block_00/attention/key/kernel") == 8.0


def test_rules_say_where_and_how_large(bert):
  rules = "(('block_00/mlp/up/kernel', 3, 6), ('.*/query/kernel', 0),"
  _, net = made(
    bert,
    "adapter.name=lora",
    "adapter.targets=",
    f"adapter.rules={rules} ('.*/(query|key)/kernel', 2))",
  )
  shapes = {
    name: x.shape
    for name, x in tree.flatten(net.params["adapters"]["default"]).items()
  }
  assert shapes == {
    "block_00/attention/key/lora_a": (8, 2),
    "block_00/attention/key/lora_b": (2, 8),
    "block_00/mlp/up/lora_a": (8, 3),
    "block_00/mlp/up/lora_b": (3, 16),
  }


@pytest.mark.parametrize(
  ("overrides", "message"),
  [
    (["adapter.rank=9"], "rank 9 for 'block_00/attention/key/kernel'"),
    (
      ["adapter.targets=", "adapter.rules=(('block_7/.*', 2),)"],
      "'block_7/.*' matches none",
    ),
    (
      ["tune.preset=", "tune.rules=(('head/.*', 'head'), ('.*', 'freeze'))"],
      "tune.rules freeze the whole adapter",
    ),
  ],
)
def test_what_does_not_fit_the_model_is_refused(bert, overrides, message):
  def tuning():
    config, net = made(bert, "adapter.name=lora", *overrides)
    return make_tuning(config, net.params, 10)

  with pytest.raises(UserError, match=message):
    tuning()


def test_the_words_head_of_a_language_model_stays_frozen(tmp_path):
  tiny.write_llama(tmp_path)
  config, net = made(
    tmp_path,
    *("adapter.name=dora", "task.name=causal_lm", "adapter.rank=2"),
    *("stop.metric=val/perplexity", "stop.mode=min"),
  )
  labels = tree.flatten(make_tuning(config, net.params, 10).labels)
  assert {labels[n] for n in labels if not n.startswith("adapters/")} == {
    "freeze"
  }


def test_an_adapter_of_two_texts_read_apart(bert):
  _, net = made(
    bert,
    *("adapter.name=lora", "adapter.rank=2", "task.name=similarity"),
    *("data.text_pair_column=b", "stop.metric=val/spearman"),
  )
  ids = np.array([[[2, 5, 3], [2, 6, 3]]])
  out = jax.jit(net.apply)(
    net.variables, {"input_ids": ids, "attention_mask": np.ones_like(ids)}
  )
  assert out["logits"].shape == (1, 1)
