import jax
import jax.numpy as jnp
import optax
import pytest

import small
from jft import families, tree
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


IDS = jax.ShapeDtypeStruct((1, 4), jnp.int32)
TEXT = {"input_ids": IDS, "attention_mask": IDS}
IMAGE = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)


@pytest.mark.parametrize(
  ("family", "preset", "norms", "biases"),
  [
    # 25 norms of 768; of BERT's biases the paper trains "about 100 thousand":
    # 12 (7 x 768 + 3,072), the embeddings' norm and the pooler.
    ("bert", "bert_base", 25 * 2 * 768, 102912),
    ("vit", "vit_base_patch16_224", 25 * 2 * 768, 102912),
    ("gpt2", "gpt2", 25 * 2 * 768, 102144),
    # 53,120: torchvision's, of which Frankle et al. speak.
    ("resnet", "resnet50", 53120, 26560),
    ("densenet", "densenet121", 83648, 41824),
    ("vgg", "vgg16_bn", 8448, 16640),
    # 61 norms of 576 and no bias; 73 of 640 and 36 of 256.
    ("llama", "smollm2_135m", 61 * 576, None),
    ("gemma", "gemma_3_270m", 73 * 640 + 36 * 256, None),
  ],
)
def test_counts_of_what_the_papers_train(family, preset, norms, biases):
  known = families.FAMILIES[family]
  module = known.module(known.presets[preset], None)
  inputs = IMAGE if known.kind == "image" else TEXT
  init = jax.eval_shape(module.init, jax.random.key(0), inputs)
  params = init["params"]
  flat = tree.flatten(params)

  def count(rules):
    labels = tree.flatten(freeze.label(params, rules))
    return sum(flat[n].size for n, value in labels.items() if value != "freeze")

  assert count(freeze.norm_only(params)) == norms
  if biases is None:
    with pytest.raises(UserError, match="no bias outside its head"):
      freeze.bias_only(params)
  else:
    assert count(freeze.bias_only(params)) == biases
