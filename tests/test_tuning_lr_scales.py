"""Shares of the rate by layer, against BEiT's, timm's and ELECTRA's rules."""

import numpy as np
import optax
import pytest
from golden import families

from jft import tree
from jft.errors import UserError
from jft.tuning import lr_scales

VIT_B = [
  "embeddings/patch/kernel",
  "embeddings/class_token/embedding",
  "embeddings/position/embedding",
  *(f"block_{i:02d}/mlp/up/kernel" for i in range(12)),
  "norm/scale",
  "head/kernel",
]


def test_beit_s_rule():
  # layer_decay ** (num_layers + 1 - id): cls_token, pos_embed and patch_embed
  # have id 0, blocks.i has i + 1, all else has num_layers + 1.
  ids = [0, 0, 0, *range(1, 13), 13, 13]
  got = lr_scales.layer_decay(VIT_B, 0.65)
  assert list(got.values()) == [0.65 ** (12 + 1 - i) for i in ids]
  assert got["embeddings/patch/kernel"] == pytest.approx(0.00369720, rel=1e-5)
  assert (got["block_11/mlp/up/kernel"], got["norm/scale"]) == (0.65, 1.0)


def test_electra_s_rule_with_one_more_rule():
  # lr * layer_decay ** (n_layers + 2 - depth): embeddings have depth 0, layer
  # i has i + 1, "task_specific/" n_layers + 2 (google-research/electra).
  names = [
    "embeddings/word/embedding",
    *(f"block_{i:02d}/mlp/up/kernel" for i in range(12)),
    "head/kernel",
  ]
  electra = [0.8 ** (12 + 2 - depth) for depth in (*range(13), 14)]
  got = lr_scales.times(
    lr_scales.layer_decay(names, 0.8),
    lr_scales.by_rules(names, [("head/.*", 1.0), (".*", 0.8)]),
  )
  assert list(got.values()) == pytest.approx(electra, rel=1e-12)


def test_a_resnet_goes_by_block():
  got = lr_scales.layer_decay(tree.flatten(families.params("resnet")), 0.5)
  by_module = {n.split("/")[0]: share for n, share in got.items()}
  assert by_module == {
    "stem_0": 0.125,
    "stem_1": 0.125,
    "stem_2": 0.125,
    "block_00": 0.25,
    "block_01": 0.5,
    "head": 1.0,
  }


def test_every_optimizer_takes_a_share_as_a_rate():
  # The share of a leaf is the rate that a run of its own would have had,
  # weight decay included: compared with optax's own optimizers.
  ones = np.ones(3, np.float32)
  params = {"a": {"w": ones}, "b": {"w": ones}}
  grads = {"a": {"w": np.array([1.0, -2.0, 3.0], np.float32)}}
  grads["b"] = grads["a"]
  for make in (
    lambda lr: optax.adamw(lr, weight_decay=0.1),
    lambda lr: optax.lamb(lr, weight_decay=0.1),
    lambda lr: optax.sgd(lr, momentum=0.9, nesterov=True),
  ):
    tx = optax.chain(make(0.1), lr_scales.scale_by_name({"a/w": 0.25}, 2.0))
    one = make(0.1 * 0.25 * 2.0)
    both, alone = params, {"a": params["a"]}
    state, own = tx.init(both), one.init(alone)
    for _ in range(3):
      updates, state = tx.update(grads, state, both)
      both = optax.apply_updates(both, updates)
      updates, own = one.update({"a": grads["a"]}, own, alone)
      alone = optax.apply_updates(alone, updates)
    np.testing.assert_allclose(both["a"]["w"], alone["a"]["w"], rtol=1e-5)


@pytest.mark.parametrize("decay", [0.0, -0.5, 1.5])
def test_a_decay_out_of_range(decay):
  with pytest.raises(UserError, match="above 0 and at most 1"):
    lr_scales.layer_decay(VIT_B, decay)


def test_a_model_without_blocks():
  with pytest.raises(UserError, match="no parameter lies in a"):
    lr_scales.layer_decay(["fc/kernel", "head/kernel"], 0.5)
  assert lr_scales.layer_decay(["fc/kernel"], 1.0) == {"fc/kernel": 1.0}


@pytest.mark.parametrize(
  ("rules", "message"),
  [
    ([("head/.*", 1.0), (".*", 0.0)], r"gives a share of 0\.0"),
    ([("haed/.*", 1.0), (".*", 0.1)], "near: head"),
    ([("head/.*", 1.0)], "are covered by no rule"),
  ],
)
def test_rules_that_cannot_be_meant(rules, message):
  with pytest.raises(UserError, match=message):
    lr_scales.by_rules(VIT_B, rules)
