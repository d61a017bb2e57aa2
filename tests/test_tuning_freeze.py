import optax
import pytest

import small
from jft import tree
from jft.errors import UserError
from jft.tuning import freeze

PARAMS = small.net().variables["params"]


def trained(rules):
  labels = tree.flatten(freeze.label(PARAMS, rules))
  return sorted(name for name, value in labels.items() if value != "freeze")


HEAD = ["head/bias", "head/kernel"]
BLOCK_1 = [
  "block_01/fc/bias",
  "block_01/fc/kernel",
  "block_01/norm/bias",
  "block_01/norm/scale",
]


def test_presets_as_literal_names():
  assert trained(freeze.linear_probe(PARAMS)) == HEAD
  assert trained(freeze.top_blocks(PARAMS, 0)) == HEAD
  assert trained(freeze.top_blocks(PARAMS, 1)) == BLOCK_1 + HEAD
  assert trained(freeze.norm_only(PARAMS)) == [
    "block_00/norm/bias",
    "block_00/norm/scale",
    "block_01/norm/bias",
    "block_01/norm/scale",
    *HEAD,
  ]
  assert trained(freeze.bias_only(PARAMS)) == [
    "block_00/fc/bias",
    "block_00/norm/bias",
    "block_01/fc/bias",
    "block_01/norm/bias",
    *HEAD,
    "stem/bias",
  ]
  assert trained(freeze.full(PARAMS)) == sorted(tree.flatten(PARAMS))


def test_top_blocks_trains_what_lies_above_the_blocks():
  params = {
    "embeddings": {"word": {"embedding": 0}},
    "block_00": {"bias": 0},
    "block_01": {"bias": 0},
    "pooler": {"bias": 0},
    "head": {"bias": 0},
  }
  labels = freeze.label(params, freeze.top_blocks(params, 1))
  assert tree.flatten(labels) == {
    "block_00/bias": "freeze",
    "block_01/bias": "backbone",
    "embeddings/word/embedding": "freeze",
    "head/bias": "head",
    "pooler/bias": "backbone",
  }


def test_more_blocks_than_there_are():
  with pytest.raises(UserError, match=r"n=3.*has 2 blocks .*choose 0 to 2"):
    freeze.top_blocks(PARAMS, 3)


def test_nothing_left_to_train():
  with pytest.raises(UserError, match="nothing would be trained"):
    freeze.label(PARAMS, [(".*", "freeze")])


def test_a_probe_needs_a_head():
  with pytest.raises(UserError, match='no "head"'):
    freeze.linear_probe({"stem": {"bias": 0}})


def test_table_counts_by_hand():
  labels = freeze.label(PARAMS, freeze.linear_probe(PARAMS))
  rows = freeze.table(PARAMS, labels, {"head": optax.sgd(0.1, momentum=0.9)})
  # Head: 16 x 3 + 3; stem 5 x 8 + 8; blocks (8 + 16) x 16 + 2 x 16 + 4 x 16.
  assert rows == [
    freeze.Row("head", 2, 51, 204, 100 * 51 / 579),
    freeze.Row("freeze", 10, 528, 0, 100 * 528 / 579),
  ]


def test_parts_by_name():
  rules = freeze.chosen_parts(PARAMS, ["below", "block_01"])
  assert trained(rules) == [*BLOCK_1, *HEAD, "stem/bias", "stem/kernel"]
  nested = {"net": {"block_00": {"w": 0}, "norm": {"scale": 0}}}
  labels = freeze.label(nested, freeze.chosen_parts(nested, ["above"]))
  assert tree.flatten(labels) == {
    "net/block_00/w": "freeze",
    "net/norm/scale": "backbone",
  }
  with pytest.raises(UserError, match=r"no part 'block_02'.*below, block_00"):
    freeze.chosen_parts(PARAMS, ["block_02"])


def test_presets_of_what_is_not_there():
  with pytest.raises(UserError, match="no normalisation outside its head"):
    freeze.norm_only({"fc": {"bias": 0}, "head": {"norm": {"scale": 0}}})
