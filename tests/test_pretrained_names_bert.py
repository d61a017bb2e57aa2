"""BERT's name table: transformers' state dict, whole and nothing else."""

import dataclasses
import hashlib
import re

import pytest
from golden import bert as case

from jft.errors import UserError
from jft.models import bert
from jft.pretrained.names import bert as names
from jft.pretrained.names import text

# sha256 of the names and shapes of transformers 5.23.0's BertModel, and of its
# BertForSequenceClassification with 10 labels, by tests/golden/make_bert.
DIGESTS = {
  "": "7c984fc4b78ff000a8982292ec25ef6b1a70d25e784ab91a2bff3106eb55ecf2",
  "bert.": "083d204f1f737f8b1949e8d247c4aef28c94dca96d0d3fa43adbd313a3bf7042",
}
ANCHOR = "embeddings.word_embeddings.weight"
BASE = bert.PRESETS["bert_base"]


@pytest.mark.parametrize("prefix", DIGESTS)
def test_names_and_shapes_are_transformers(prefix):
  classes = 10 if prefix else None
  shapes = case.source_shapes(BASE, classes, [prefix + ANCHOR])
  rows = sorted(f"{name} {shape}" for name, shape in shapes.items())
  digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()
  assert digest == DIGESTS[prefix]


@pytest.mark.parametrize("pooling", ["cls_pooler", "cls", "mean"])
def test_the_table_names_every_variable_once(pooling):
  config = dataclasses.replace(bert.PRESETS["bert_tiny"], pooling=pooling)
  table = names.table(config)
  assert table.keys() == case.target(config, 2).keys()
  assert len({entry.source for entry in table.values()}) == len(table)


@pytest.mark.parametrize(
  "prefix", ["", "bert.", "module.bert.", "0.auto_model."]
)
def test_detect_finds_the_prefix(prefix):
  found = text.detect([f"{prefix}pooler.dense.bias", prefix + ANCHOR])
  assert found == (prefix, "weight", "bias")


def test_the_head_stands_beside_the_encoder():
  for prefix, head in (
    ("", "classifier.weight"),
    ("bert.", "classifier.weight"),
    ("module.bert.", "module.classifier.weight"),
  ):
    table = names.table(BASE, [prefix + ANCHOR])
    assert table["params/head/kernel"].source == head


def test_norms_of_old_files():
  old = [f"bert.{ANCHOR}", "bert.embeddings.LayerNorm.gamma"]
  assert text.detect(old) == ("bert.", "gamma", "beta")
  table = names.table(BASE, old)
  norm = "bert.encoder.layer.3.output.LayerNorm"
  assert table["params/block_03/mlp_norm/scale"].source == f"{norm}.gamma"
  assert table["params/block_03/mlp_norm/bias"].source == f"{norm}.beta"
  assert table["params/block_03/mlp/down/bias"].source.endswith("dense.bias")


@pytest.mark.parametrize("found", [[], [ANCHOR, f"bert.{ANCHOR}"]])
def test_a_file_of_another_family_is_named(found):
  with pytest.raises(UserError, match=r"begin with vit\.cls_token"):
    names.table(BASE, ["vit.cls_token", *found])


@pytest.mark.parametrize(
  ("name", "pooling"),
  [
    ("embeddings.position_ids", "cls_pooler"),
    ("bert.embeddings.position_ids", "cls_pooler"),
    ("cls.predictions.bias", "cls_pooler"),
    ("cls.predictions.transform.LayerNorm.gamma", "cls_pooler"),
    ("cls.seq_relationship.weight", "cls_pooler"),
    ("bert.pooler.dense.weight", "mean"),
    ("pooler.dense.bias", "cls"),
  ],
)
def test_what_is_dropped(name, pooling):
  rules = names.dropped(dataclasses.replace(BASE, pooling=pooling))
  assert any(re.fullmatch(pattern, name) for pattern, _ in rules)


def test_nothing_that_is_needed_is_dropped():
  for pooling in ("cls_pooler", "mean"):
    config = dataclasses.replace(BASE, pooling=pooling)
    for entry in names.table(config).values():
      for pattern, _ in names.dropped(config):
        assert not re.fullmatch(pattern, entry.source)
