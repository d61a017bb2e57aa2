"""GGUF's settings as transformers' config.json has them."""

import struct

import numpy as np
import pytest
from test_gguf_header import array, header, pair, text

from jft.errors import UserError
from jft.pretrained import formats


def u32(key, value):
  return pair(key, 4, struct.pack("<I", value))


def f32(key, value):
  return pair(key, 6, struct.pack("<f", value))


def made(path, arch, *pairs, tensors=None, gone=""):
  """A file of a small model with a head of its own, of zeros."""
  tensors = tensors or {}
  tensors = {"token_embd.weight": np.zeros((7, 8), np.float32)} | tensors
  usual = {"context_length": 64, "block_count": 2, "embedding_length": 8}
  usual |= {"feed_forward_length": 12, "attention.head_count": 2}
  rows = [pair("general.architecture", 8, text(arch))]
  rows += [u32(f"{arch}.{k}", v) for k, v in usual.items() if k != gone]
  places, values = b"", b""
  for name, value in tensors.items():
    places += text(name) + struct.pack("<I", value.ndim)
    places += struct.pack(f"<{value.ndim}Q", *value.shape[::-1])
    places += struct.pack("<IQ", 0, len(values))
    data = value.tobytes()
    values += data.ljust(-(-len(data) // 32) * 32, b"\0")
  start = header(*rows, *pairs, tensors=places, count=len(tensors))
  path.write_bytes(start.ljust(-(-len(start) // 32) * 32, b"\0") + values)
  return path


def config(tmp_path, arch, *pairs, **options):
  return formats.settings(made(tmp_path / "x.gguf", arch, *pairs, **options))


TWO = array(4, 2, struct.pack("<2I", 1, 2))
COMMON = {
  "max_position_embeddings": 64,
  "num_hidden_layers": 2,
  "intermediate_size": 12,
  "hidden_size": 8,
  "num_attention_heads": 2,
  "vocab_size": 7,
  "tie_word_embeddings": True,
}


def test_llama(tmp_path):
  found = config(
    tmp_path,
    "llama",
    u32("llama.attention.head_count_kv", 1),
    f32("llama.attention.layer_norm_rms_epsilon", 1e-5),
    f32("llama.rope.freq_base", 5e5),
    u32("llama.rope.dimension_count", 4),
    u32("tokenizer.ggml.bos_token_id", 1),
    tensors={"output.weight": np.zeros((7, 8), np.float32)},
  )
  assert found == COMMON | {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "num_key_value_heads": 1,
    "rms_norm_eps": 1e-5,  # and not 9.99999974e-06
    "rope_theta": 5e5,
    "rope_scaling": None,
    "head_dim": 4,
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "bos_token_id": 1,
    "tie_word_embeddings": False,
  }


def test_a_window_makes_a_mistral_and_linear_scaling_is_kept(tmp_path):
  found = config(
    tmp_path,
    "llama",
    u32("llama.attention.sliding_window", 16),
    pair("llama.rope.scaling.type", 8, text("linear")),
    f32("llama.rope.scaling.factor", 4.0),
  )
  assert (found["model_type"], found["sliding_window"]) == ("mistral", 16)
  assert found["rope_scaling"] == {"rope_type": "linear", "factor": 4.0}


# At head_dim 64, theta 5e5, factor 32, as in Llama 3.2 1B: the frequencies
# without scaling over those of transformers 5.23 (_compute_llama3_parameters).
FACTORS = [1.0] * 15 + [1.6513, 3.2923, 9.6667] + [32.0] * 14


def test_the_outcome_of_llama3s_scaling_gives_its_settings_back(tmp_path):
  factors = np.array(FACTORS, np.float32)
  options = (
    u32("llama.attention.key_length", 64),
    f32("llama.rope.freq_base", 5e5),
  )
  tensors = {"rope_freqs.weight": factors}
  found = config(tmp_path, "llama", *options, tensors=tensors)
  assert found["rope_scaling"] == {
    "rope_type": "llama3",
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
  }
  ones = {"rope_freqs.weight": np.ones(32, np.float32)}
  found = config(tmp_path, "llama", *options, tensors=ones)
  assert found["rope_scaling"] is None
  other = {"rope_freqs.weight": np.linspace(1, 8, 32, dtype=np.float32)}
  with pytest.raises(UserError, match="is not Llama 3's"):
    config(tmp_path, "llama", *options, tensors=other)


def test_qwen(tmp_path):
  found = config(tmp_path, "qwen3", u32("qwen3.attention.key_length", 16))
  assert (found["model_type"], found["head_dim"]) == ("qwen3", 16)
  found = config(tmp_path, "qwen2")
  assert found["architectures"] == ["Qwen2ForCausalLM"]
  assert "head_dim" not in found


def test_gemma(tmp_path):
  found = config(
    tmp_path,
    "gemma2",
    u32("gemma2.attention.key_length", 16),
    f32("gemma2.attn_logit_softcapping", 25.0),
  )
  assert found["query_pre_attn_scalar"] == 16
  assert found["attn_logit_softcapping"] == 25.0
  assert found["final_logit_softcapping"] == 30.0
  assert found["layer_types"] == ["sliding_attention", "full_attention"]
  found = config(tmp_path, "gemma3", u32("gemma3.attention.sliding_window", 9))
  assert found["model_type"] == "gemma3_text"
  assert (found["sliding_window"], found["rope_theta"]) == (9, 1e6)


def test_gpt2(tmp_path):
  found = config(
    tmp_path, "gpt2", f32("gpt2.attention.layer_norm_epsilon", 1e-5)
  )
  assert found == {
    "model_type": "gpt2",
    "architectures": ["GPT2LMHeadModel"],
    "activation_function": "gelu_new",
    "n_positions": 64,
    "n_layer": 2,
    "n_inner": 12,
    "n_embd": 8,
    "n_head": 2,
    "layer_norm_epsilon": 1e-5,
    "vocab_size": 7,
    "tie_word_embeddings": True,
  }


@pytest.mark.parametrize(
  ("arch", "pairs", "options", "message"),
  [
    ("lama", (), {}, "architecture 'lama', jft reads llama, qwen2"),
    ("llama", (u32("llama.expert_count", 8),), {}, "llama.expert_count = 8"),
    ("llama", (), {"gone": "block_count"}, "setting llama.block_count, got"),
    (
      "llama",
      (pair("llama.attention.head_count_kv", 9, TWO),),
      {},
      "differs from block to block",
    ),
    (
      "llama",
      (pair("llama.rope.scaling.type", 8, text("yarn")),),
      {},
      "rotary scaling 'yarn'",
    ),
    (
      "llama",
      (u32("llama.rope.dimension_count", 2),),
      {},
      "dimension_count is 2, the heads are 4 wide",
    ),
    (
      "llama",
      (),
      {"tensors": {"token_embd.weight": np.zeros(7, np.float32)}},
      "without a matrix token_embd.weight",
    ),
  ],
)  # fmt: skip
def test_what_is_not_known_is_named(tmp_path, arch, pairs, options, message):
  with pytest.raises(UserError) as error:
    config(tmp_path, arch, *pairs, **options)
  assert message in str(error.value)
