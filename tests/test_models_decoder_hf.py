"""What a config.json may not ask of a decoder, and how each asks in its way."""

import pytest
from golden import decoder_cases
from golden.decoders import config_json

from jft import families
from jft.errors import UserError
from jft.models.gemma import GemmaConfig
from jft.models.gpt2 import Gpt2Config
from jft.models.llama_config import LlamaConfig
from jft.models.rope import Rope


@pytest.mark.parametrize(
  ("case", "change", "message"),
  [
    ("llama", {"model_type": "phi3"}, "model_type is 'phi3'"),
    ("llama", {"quantization_config": {"bits": 4}}, "quantization_config is"),
    ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"),
    ("llama", {"hidden_act": "swish2"}, "hidden_act must be one of"),
    ("llama", {"head_dim": 9}, "head_dim must be even"),
    ("llama", {"num_key_value_heads": 3}, "multiple of kv_heads 3"),
    ("llama", {"head_dim": None, "hidden_size": 25}, "multiple of num_attent"),
    ("llama", {"num_hidden_layers": 0}, "depth must be an integer from 1"),
    ("llama", {"vocab_size": "many"}, "vocab_size must be an integer"),
    ("llama", {"rope_scaling": {"rope_type": "longrope"}}, "rope_type must be"),
    ("llama", {"rope_scaling": {"rope_type": "yarn"}}, "'yarn' needs a factor"),
    (
      "llama",
      {"rope_scaling": {"rope_type": "yarn", "factor": 2.0, "mscale": 1.0}},
      "does not know mscale",
    ),
    (
      "llama",
      {"rope_scaling": {"rope_type": "llama3", "factor": 2.0}},
      "needs low_freq_factor",
    ),
    ("llama", {"rope_scaling": {"type": "linear", "factor": 0}}, "rope factor"),
    ("llama", {"rope_scaling": [1]}, "rope_scaling must be a dict"),
    ("llama", {"architectures": ["LlamaForTokenClassification"]}, "architect"),
    ("mistral", {"layer_types": ["full_attention"]}, "layer_types is"),
    ("qwen2", {"layer_types": ["chunked_attention"]}, "layer_types must be"),
    (
      "qwen2",
      {"layer_types": ["sliding_attention"]},
      "must name each of 2 blocks, got 1",
    ),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inver"),
    ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights is False"),
    ("gpt2", {"add_cross_attention": True}, "add_cross_attention is True"),
    ("gpt2", {"n_head": 5}, "multiple of n_head 5"),
    ("gemma2", {"model_type": "gemma3"}, "model_type is 'gemma3'"),
    ("gemma2", {"use_bidirectional_attention": True}, "use_bidirectional_att"),
    ("gemma3", {"attn_logit_softcapping": 3.0}, "Gemma 3 has none"),
    ("gemma3", {"sliding_window_pattern": 0}, "sliding_window_pattern must"),
  ],
)
def test_what_a_config_may_not_ask(case, change, message):
  known = families.FAMILIES[decoder_cases.CASES[case][0]]
  with pytest.raises(UserError, match=message):
    known.from_hf({**config_json(case), **change})


def test_transformers_4_and_5_spell_one_rope():
  older = {"rope_theta": 5.0, "rope_scaling": {"type": "linear", "factor": 2.0}}
  newer = {"rope_type": "linear", "factor": 2.0, "rope_theta": 5.0}
  want = Rope(5.0, "linear", 2.0)
  assert LlamaConfig.from_hf(older).rope == want
  assert LlamaConfig.from_hf({"rope_parameters": newer}).rope == want
  parts = {
    "full_attention": {**newer},
    "sliding_attention": {"rope_type": "default", "rope_theta": 7.0},
  }
  found = GemmaConfig.from_hf(
    {"model_type": "gemma3_text", "rope_parameters": parts}
  )
  assert (found.rope, found.local_rope) == (want, Rope(7.0))


def test_dynamic_rope_reads_no_longer_texts_than_the_pretraining():
  found = LlamaConfig.from_hf(
    {
      "max_position_embeddings": 64,
      "rope_scaling": {"type": "dynamic", "factor": 2.0},
    }
  )
  assert (found.max_tokens, found.rope.original_tokens) == (64, 64)
  with pytest.raises(UserError, match="at most the 64 tokens"):
    LlamaConfig(max_tokens=65, rope=found.rope)


def test_openais_own_settings():
  found = {"n_vocab": 50257, "n_ctx": 1024, "n_embd": 768}
  found |= {"n_head": 12, "n_layer": 12}
  assert Gpt2Config.from_hf(found) == Gpt2Config()


def test_windows():
  found = LlamaConfig.from_hf({"model_type": "mistral"})
  assert set(found.kinds) == {"sliding"}
  found = LlamaConfig.from_hf({"model_type": "mistral", "sliding_window": None})
  assert set(found.kinds) == {"full"}
  # Most of Qwen's files have a window that nobody uses.
  found = LlamaConfig.from_hf({"model_type": "qwen2", "sliding_window": 32})
  assert (found.window, set(found.kinds)) == (0, {"full"})
