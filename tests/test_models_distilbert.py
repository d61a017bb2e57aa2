"""DistilBERT: presets and transformers' configs; numbers: test_models_text."""

import jax
import jax.numpy as jnp
import pytest

from jft import tree
from jft.errors import UserError
from jft.models import distilbert

# config.json of distilbert/distilbert-base-uncased.
PUBLISHED = {
  "activation": "gelu",
  "architectures": ["DistilBertForMaskedLM"],
  "attention_dropout": 0.1,
  "dim": 768,
  "dropout": 0.1,
  "hidden_dim": 3072,
  "initializer_range": 0.02,
  "max_position_embeddings": 512,
  "model_type": "distilbert",
  "n_heads": 12,
  "n_layers": 6,
  "pad_token_id": 0,
  "qa_dropout": 0.1,
  "seq_classif_dropout": 0.2,
  "sinusoidal_pos_embds": False,
  "tie_weights_": True,
  "vocab_size": 30522,
}


@pytest.mark.parametrize(
  ("preset", "parameters"),
  [
    ("distilbert_base", 66_362_880),
    ("distilbert_base_cased", 65_190_912),
    ("distilbert_base_multilingual", 134_734_080),
  ],
)
def test_presets_have_the_originals_parameter_counts(preset, parameters):
  module = distilbert.module(distilbert.PRESETS[preset])
  ids = jnp.zeros((1, 2), jnp.int32)
  inputs = {"input_ids": ids, "attention_mask": ids}
  shapes = jax.eval_shape(module.init, jax.random.key(0), inputs)
  assert tree.count(shapes["params"]) == parameters
  assert "token_type" not in shapes["params"]["embeddings"]


def test_the_published_config_is_the_preset():
  found = distilbert.DistilBertConfig.from_hf(PUBLISHED)
  assert found == distilbert.PRESETS["distilbert_base"]


def test_every_setting_arrives():
  found = distilbert.DistilBertConfig.from_hf(
    {
      "vocab_size": 1,
      "dim": 6,
      "n_layers": 3,
      "n_heads": 2,
      "hidden_dim": 5,
      "max_position_embeddings": 7,
      "activation": "relu",
      "dropout": 0.5,
      "attention_dropout": 0.75,
      "seq_classif_dropout": 0.25,
      "initializer_range": 0.125,
    }
  )
  assert found == distilbert.DistilBertConfig(
    vocab_size=1,
    width=6,
    depth=3,
    heads=2,
    mlp_width=5,
    max_tokens=7,
    activation="relu",
    dropout=0.5,
    attention_dropout=0.75,
    head_dropout=0.25,
    init_std=0.125,
  )


@pytest.mark.parametrize(
  ("wrong", "message"),
  [
    ({"sinusoidal_pos_embds": True}, "sinusoidal_pos_embds is True"),
    ({"activation": "tanh"}, r"config\.json: activation must be one of"),
    ({"n_heads": 5}, "DistilBERT width 768 must be a multiple of heads 5"),
    ({"model_type": "bert"}, "model_type is 'bert'"),
  ],
)
def test_a_config_that_cannot_be_is_refused(wrong, message):
  with pytest.raises(UserError, match=message):
    distilbert.DistilBertConfig.from_hf(wrong)
