"""RoBERTa: positions that skip padding, presets, transformers' configs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import text as case
from golden import text_cases

from jft import tree
from jft.errors import UserError
from jft.models import roberta

BASE = roberta.PRESETS["roberta_base"]


@pytest.mark.parametrize(
  ("preset", "parameters"),
  [
    ("roberta_base", 124_055_040),
    ("roberta_large", 354_310_144),
    ("distilroberta_base", 81_527_808),
    ("xlm_roberta_base", 277_453_056),
    ("xlm_roberta_large", 558_840_832),
  ],
)
def test_presets_have_the_originals_parameter_counts(preset, parameters):
  module = roberta.module(roberta.PRESETS[preset])
  ids = jnp.zeros((1, 2), jnp.int32)
  inputs = {"input_ids": ids, "attention_mask": ids}
  shapes = jax.eval_shape(module.init, jax.random.key(0), inputs)
  assert tree.count(shapes["params"]) == parameters


@pytest.mark.parametrize(
  ("ids", "pad", "want"),
  [
    ([0, 9, 9, 2], 1, [2, 3, 4, 5]),
    ([0, 9, 2, 1], 1, [2, 3, 4, 1]),
    ([1, 1, 0, 9], 1, [1, 1, 2, 3]),
    ([5, 0, 7, 0], 0, [1, 0, 2, 0]),
  ],
)
def test_positions_count_what_is_no_padding(ids, pad, want):
  assert roberta.positions(jnp.array([ids]), pad).tolist() == [want]


def test_the_longest_text_takes_the_last_position():
  """Also with no padding at all, an index beyond the rows would be NaN."""
  config = roberta.RobertaConfig.from_hf(text_cases.SETTINGS["roberta"])
  assert (config.max_tokens, config.position_rows) == (9, 12)
  module = roberta.module(dataclasses.replace(config, depth=1))
  ids = jnp.full((1, 9), 5)
  inputs = {"input_ids": ids, "attention_mask": jnp.ones_like(ids)}
  variables = case.jit(module.init)(jax.random.key(0), inputs)
  hidden = case.jit(module.apply)(variables, inputs)["hidden"]
  assert np.isfinite(hidden).all()
  longer = {name: jnp.ones((1, 10), jnp.int32) for name in inputs}
  with pytest.raises(
    UserError, match="RoBERTa has positions for 9 tokens, got"
  ):
    jax.eval_shape(module.apply, variables, longer)


# config.json of FacebookAI/roberta-base and FacebookAI/xlm-roberta-large.
PUBLISHED = {
  "architectures": ["RobertaForMaskedLM"],
  "attention_probs_dropout_prob": 0.1,
  "bos_token_id": 0,
  "eos_token_id": 2,
  "hidden_act": "gelu",
  "hidden_dropout_prob": 0.1,
  "hidden_size": 768,
  "initializer_range": 0.02,
  "intermediate_size": 3072,
  "layer_norm_eps": 1e-05,
  "max_position_embeddings": 514,
  "model_type": "roberta",
  "num_attention_heads": 12,
  "num_hidden_layers": 12,
  "pad_token_id": 1,
  "type_vocab_size": 1,
  "vocab_size": 50265,
}


def test_published_configs_are_the_presets():
  large = {
    **PUBLISHED,
    "model_type": "xlm-roberta",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "output_past": True,
    "vocab_size": 250002,
  }
  assert roberta.RobertaConfig.from_hf(PUBLISHED) == BASE
  found = roberta.RobertaConfig.from_hf(large)
  assert found == roberta.PRESETS["xlm_roberta_large"]


def test_a_saved_token_classifier_is_one():
  saved = {**PUBLISHED, "architectures": ["RobertaForTokenClassification"]}
  assert roberta.RobertaConfig.from_hf(saved).task == "tokens"


def test_what_a_config_leaves_out_is_as_in_transformers():
  found = roberta.RobertaConfig.from_hf({"classifier_dropout": 0.3})
  assert (found.max_tokens, found.token_types, found.norm_eps) == (
    510,
    2,
    1e-12,
  )
  assert (found.head_dropout, found.vocab_size) == (0.3, 50265)
  zero = roberta.RobertaConfig.from_hf({"pad_token_id": 0})
  assert (zero.pad_id, zero.max_tokens) == (0, 511)


@pytest.mark.parametrize(
  ("wrong", "message"),
  [
    ({"position_embedding_type": "relative_key"}, "position_embedding_type is"),
    ({"is_decoder": True}, "is_decoder is True, jft's RoBERTa only has False"),
    ({"pad_token_id": -1}, "RoBERTa pad_id must be an integer from 0"),
    ({"max_position_embeddings": 2}, "RoBERTa max_tokens must be an integer"),
    ({"max_position_embeddings": "512"}, "RoBERTa max_tokens must be an int"),
  ],
)
def test_a_config_that_cannot_be_is_refused(wrong, message):
  with pytest.raises(UserError, match=message):
    roberta.RobertaConfig.from_hf(wrong)
