"""Every adapter and quantised base: it trains, and comes back bit for bit."""

import jax
import numpy as np
import optax
import pytest
import tiny
import tuned
from golden.text import jit
from variants import some

import jft
from jft import adapters, config, leaves, quantize, tree
from jft.build import check, side
from jft.build.model import load_net
from jft.checkpoint import Checkpointer
from jft.errors import UserError
from jft.state import TrainState
from jft.step import make_train_step
from jft.tuning import freeze
from jft.tuning.adapters.lora import LoRA, Rank

LORA = LoRA(((".*/(query|value)/kernel", Rank(2, 4.0)),))
TEXT = {**tuned.TEXT, "label": np.array([0, 2]), "mask": np.ones(2, np.float32)}
IMAGE = {
  "image": tuned.image(),
  "label": np.array([0, 2]),
  "mask": np.ones(2, np.float32),
}
METHODS = {
  "ia3": (adapters.IA3(), ""),
  "houlsby": (adapters.houlsby(4, std=0.1), ""),
  "parallel": (adapters.parallel(4), ""),
  "prefix": (adapters.Prefix(3), ""),
  "prompt": (adapters.Prompt(3), ""),
  "vpt": (adapters.VPT(3), ""),
  "int8": (LORA, "int8"),
  "nf4": (LORA, "nf4"),
}


def network(name):
  method, kind = METHODS[name]
  base = tuned.vit(depth=1) if name == "vpt" else tuned.bert(depth=1)
  net = adapters.add(base, method, key=jax.random.key(1))
  return quantize.quantize(net, kind) if kind else net


@pytest.mark.parametrize("name", some(METHODS, "prompt"))
def test_it_trains_and_resumes_bit_for_bit(name, tmp_path):
  net, batch = network(name), IMAGE if name == "vpt" else TEXT
  labels = freeze.label(net.params, freeze.adapter(net.params))
  # The head rests: what the loss loses is the adapter's doing.
  labels["head"] = jax.tree.map(lambda _: "freeze", labels["head"])
  tx = jft.optim.by_label({"adapter": optax.adam(0.05)}, labels)
  step = jit(make_train_step(net.apply, jft.tasks.classification(), tx))
  first = TrainState.create(net, labels, tx)
  state, losses = first, []
  with Checkpointer(tmp_path, keep_last=2) as ckpt:
    for number in range(6):
      state, metrics = step(state, batch)
      losses.append(float(metrics["loss"]))
      if number == 2:
        ckpt.save(state)
  assert losses[-1] < losses[0]
  assert tiny.same_bits(
    leaves.flatten(first.frozen), leaves.flatten(state.frozen)
  )
  with Checkpointer(tmp_path, keep_last=2) as ckpt:
    resumed = ckpt.restore_or(first)
  assert int(resumed.step) == 3
  for _ in range(3):
    resumed, _ = step(resumed, batch)
  assert tiny.same_bits(leaves.plain(state), leaves.plain(resumed))


def recipe(*more):
  return config.load(
    "default",
    ["model.source=x", "data.train=sklearn:digits", "train.steps=1", *more],
  )


@pytest.mark.parametrize("name", side.MAKERS)
def test_every_name_makes_its_method(name, tmp_path):
  tiny.write_bert(tmp_path)
  source = tmp_path if name != "vpt" else "jft:resnet14_mnist"
  c = recipe(f"model.source={source}", f"adapter.name={name}")
  c.adapter.width = 4 if name in ("houlsby", "parallel") else 64
  c.data.max_length = 8
  check(c)
  if name == "vpt":
    with pytest.raises(UserError, match="is for transformers"):
      load_net(c, ("good", "bad"))
    return
  net = load_net(c, ("good", "bad"))
  assert tree.count(net.params["adapters"]) > 0
  assert net.active == ("default",)


def test_a_quantised_run_counts_its_parameters(tmp_path):
  tiny.write_bert(tmp_path)
  c = recipe(f"model.source={tmp_path}", "model.quantize=int8")
  c.adapter.name = "lora"
  c.adapter.rank = 2
  net = load_net(c, ("good", "bad"))
  labels = freeze.label(net.params, freeze.adapter(net.params))
  rows = freeze.table(net.params, labels)
  c.adapter.name = ""
  c.model.quantize = ""
  plain = load_net(c, ("good", "bad"))
  extra = tree.count(net.params["adapters"])
  assert sum(r.params for r in rows) == tree.count(plain.params) + extra
  kinds = {x.dtype.name for x in jax.tree.leaves(net.params)}
  assert kinds == {"float32", "int8"}


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    (["model.quantize=int4"], "choose one of int8, nf4"),
    (["model.quantize=nf4"], "trains all of them: give adapter.name='lora'"),
    (["adapter.name=ia3", "adapter.width=3"], r"adapter.width=3 means nothing"),
    (["adapter.name=lora", "adapter.tokens=3"], "adapter.tokens=3 means"),
    (["adapter.name=ia3", "adapter.dropout=0.5"], "adapter.dropout=0.5 means"),
    (["adapter.name=prompt", "adapter.start=x"], "choose words or random"),
    (["adapter.name=prefix", "adapter.tokens=-1"], "must be above 0"),
    (["adapter.name=prefxi"], "Did you mean 'prefix'"),
  ],
)
def test_contradictions(settings, message):
  with pytest.raises(UserError, match=message):
    check(recipe(*settings))


def test_no_room_for_a_prefix(tmp_path):
  tiny.write_bert(tmp_path)
  c = recipe(f"model.source={tmp_path}", "adapter.name=prefix")
  message = "tokens=20 and data.max_length=128 are more than the 64 positions"
  with pytest.raises(UserError, match=message):
    load_net(c, ("good", "bad"))
