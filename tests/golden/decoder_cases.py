"""What every golden of a text decoder is computed from; NumPy alone."""

import types

import numpy as np
from golden import weights

_TINY = {
  "vocab_size": 40,
  "hidden_size": 24,
  "num_hidden_layers": 2,
  "num_attention_heads": 4,
  "num_key_value_heads": 2,
  "head_dim": 10,
  "intermediate_size": 36,
  "max_position_embeddings": 32,
  "pad_token_id": 0,
}
_GPT2 = {
  "vocab_size": 40,
  "n_embd": 24,
  "n_layer": 2,
  "n_head": 3,
  "n_positions": 32,
  "pad_token_id": 0,
}
_LLAMA3 = {
  "rope_type": "llama3",
  "rope_theta": 500.0,
  "factor": 8.0,
  "low_freq_factor": 1.0,
  "high_freq_factor": 4.0,
  "original_max_position_embeddings": 16,
}
_YARN = {
  "rope_type": "yarn",
  "rope_theta": 500.0,
  "factor": 4.0,
  "original_max_position_embeddings": 16,
}

CASES = types.MappingProxyType(
  {
    "llama": ("llama", "LlamaForCausalLM", {**_TINY, "rope_scaling": _LLAMA3}),
    # Everything that an older file says in its own way.
    "llama_tied": (
      "llama",
      "LlamaForCausalLM",
      {
        **_TINY,
        "tie_word_embeddings": True,
        "attention_bias": True,
        "mlp_bias": True,
        "rms_norm_eps": 0.1,
        "rope_theta": 300.0,
        "rope_scaling": {"type": "linear", "factor": 2.0},
      },
    ),
    "llama_yarn": (
      "llama",
      "LlamaForCausalLM",
      {**_TINY, "rope_parameters": _YARN},
    ),
    "llama_dynamic": (
      "llama",
      "LlamaForCausalLM",
      {
        **_TINY,
        "num_key_value_heads": 4,
        "rope_scaling": {"type": "dynamic", "factor": 2.0},
      },
    ),
    "mistral": (
      "llama",
      "MistralForCausalLM",
      {**_TINY, "sliding_window": 3},
    ),
    "qwen2": (
      "llama",
      "Qwen2ForCausalLM",
      {
        **_TINY,
        "head_dim": 6,  # which Qwen2 reckons itself
        "use_sliding_window": True,
        "sliding_window": 3,
        "max_window_layers": 1,
      },
    ),
    "qwen3": ("llama", "Qwen3ForCausalLM", {**_TINY, "rope_theta": 1000.0}),
    "qwen3_classifier": (
      "llama",
      "Qwen3ForSequenceClassification",
      {**_TINY, "num_labels": 5},
    ),
    "gemma2": (
      "gemma",
      "Gemma2ForCausalLM",
      {
        **_TINY,
        "sliding_window": 3,
        "query_pre_attn_scalar": 7,
        "attn_logit_softcapping": 1.5,
        "final_logit_softcapping": 2.0,
      },
    ),
    "gemma3": (
      "gemma",
      "Gemma3ForCausalLM",
      {
        **_TINY,
        "num_hidden_layers": 3,
        "sliding_window": 3,
        "sliding_window_pattern": 2,
        "query_pre_attn_scalar": 7,
        "rope_theta": 3000.0,
        "rope_local_base_freq": 50.0,
        "rope_scaling": {"rope_type": "linear", "factor": 2.0},
      },
    ),
    "gpt2": ("gpt2", "GPT2LMHeadModel", _GPT2),
    "gpt2_untied": (
      "gpt2",
      "GPT2LMHeadModel",
      {
        **_GPT2,
        "n_inner": 20,
        "tie_word_embeddings": False,
        "activation_function": "relu",
        "layer_norm_epsilon": 0.1,
      },
    ),
    "gpt2_classifier": (
      "gpt2",
      "GPT2ForSequenceClassification",
      {**_GPT2, "num_labels": 5},
    ),
  }
)
"""{case: (jft's family, transformers' class, settings of its config)}."""

MODEL_TYPES = types.MappingProxyType(
  {
    "Llama": "llama",
    "Mistral": "mistral",
    "Qwen2": "qwen2",
    "Qwen3": "qwen3",
    "GPT2": "gpt2",
    "Gemma2": "gemma2",
    "Gemma3": "gemma3_text",
  }
)
"""{transformers' title: model_type}."""

FAMILIES = tuple(dict.fromkeys(family for family, _, _ in CASES.values()))
NEW_TOKENS = 8


def cases(family: str) -> list[str]:
  """Returns the cases of a family."""
  return [case for case, (own, _, _) in CASES.items() if own == family]


def title(case: str) -> str:
  """Returns how transformers' classes of a case begin, such as "Qwen3"."""
  return CASES[case][1].partition("LMHead")[0].partition("For")[0]


def is_classifier(case: str) -> bool:
  """Whether a case is a classifier of texts."""
  return CASES[case][1].endswith("ForSequenceClassification")


def inputs(case: str, seed: int = 0) -> dict[str, np.ndarray]:
  """Returns ids [3 9]: one full, one padded at its right, one at its left."""
  rng = np.random.default_rng([seed, len(case)])
  mask = np.ones((3, 9), np.int32)
  mask[1, 6:] = 0
  mask[2, :4] = 0
  ids = rng.integers(1, CASES[case][2]["vocab_size"], (3, 9), np.int32)
  return {"input_ids": ids * mask, "attention_mask": mask}


def prompts(case: str, seed: int = 0) -> dict[str, np.ndarray]:
  """Returns ids [2 5] to go on from, the second padded at its left."""
  rng = np.random.default_rng([seed, 7, len(case)])
  mask = np.ones((2, 5), np.int32)
  mask[1, :2] = 0
  ids = rng.integers(1, CASES[case][2]["vocab_size"], (2, 5), np.int32)
  return {"input_ids": ids * mask, "attention_mask": mask}


def positions(mask: np.ndarray) -> np.ndarray:
  """Returns the number of tokens before each one."""
  return np.maximum(mask.cumsum(1) - 1, 0)


def cotangents(case: str, seed: int = 0) -> dict[str, np.ndarray]:
  """Returns what each output is multiplied with to get a scalar loss.

  None of padding's own, which every project computes in its own way.
  """
  settings = CASES[case][2]
  width = settings.get("hidden_size") or settings["n_embd"]
  logits = (3, 9, settings["vocab_size"])
  if is_classifier(case):
    logits = (3, settings["num_labels"])
  shapes = {"logits": logits, "hidden": (3, 9, width)}
  mask = inputs(case, seed)["attention_mask"][..., None]
  return {
    name: weights.draw(f"cotangent/{name}", shape, seed)
    * (mask if len(shape) == 3 else 1)
    for name, shape in shapes.items()
  }


def _config(sizes: tuple[int, ...], **more: object) -> dict[str, object]:
  names = ("vocab_size", "hidden_size", "num_hidden_layers")
  names += ("num_attention_heads", "num_key_value_heads", "head_dim")
  names += ("intermediate_size", "max_position_embeddings")
  return dict(zip(names, sizes, strict=True)) | more


def _gpt2(width: int, depth: int, heads: int) -> dict[str, object]:
  return {"n_embd": width, "n_layer": depth, "n_head": heads}


def _rope3(factor: float) -> dict[str, object]:
  return {
    "rope_type": "llama3",
    "factor": factor,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
  }


_EPS5 = {"rms_norm_eps": 1e-5}
_TIED = {"tie_word_embeddings": True}
_SMOL = {**_EPS5, **_TIED}
_LLAMA32 = {**_SMOL, "rope_theta": 500000.0, "rope_scaling": _rope3(32.0)}
_QWEN = {"rope_theta": 1000000.0, "tie_word_embeddings": True}
_QWEN_7B = {"rope_theta": 1000000.0, "tie_word_embeddings": False}

_GEMMA_2 = {
  "query_pre_attn_scalar": 256,
  "attn_logit_softcapping": 50.0,
  "final_logit_softcapping": 30.0,
  "sliding_window": 4096,
}
_GEMMA_3 = {
  "query_pre_attn_scalar": 256,
  "sliding_window": 512,
  "sliding_window_pattern": 6,
  "rope_theta": 1000000.0,
  "rope_local_base_freq": 10000.0,
}

# As the config.json of each model on its publisher's page has it.
PRESETS = types.MappingProxyType(
  {
    "stories260k": (
      "Llama",
      _config((512, 64, 5, 8, 4, 8, 172, 512), **_SMOL),
    ),
    "stories15m": (
      "Llama",
      _config((32000, 288, 6, 6, 6, 48, 768, 256), **_SMOL),
    ),
    "smollm2_135m": (
      "Llama",
      _config(
        (49152, 576, 30, 9, 3, 64, 1536, 8192),
        **_SMOL,
        rope_theta=100000,
        initializer_range=0.041666666666666664,
      ),
    ),
    "smollm2_360m": (
      "Llama",
      _config(
        (49152, 960, 32, 15, 5, 64, 2560, 8192), **_SMOL, rope_theta=100000
      ),
    ),
    "smollm2_1_7b": (
      "Llama",
      _config(
        (49152, 2048, 24, 32, 32, 64, 8192, 8192), **_SMOL, rope_theta=130000
      ),
    ),
    "llama_2_7b": (
      "Llama",
      _config((32000, 4096, 32, 32, 32, 128, 11008, 4096), **_EPS5),
    ),
    "llama_3_2_1b": (
      "Llama",
      _config((128256, 2048, 16, 32, 8, 64, 8192, 131072), **_LLAMA32),
    ),
    "llama_3_2_3b": (
      "Llama",
      _config((128256, 3072, 28, 24, 8, 128, 8192, 131072), **_LLAMA32),
    ),
    "llama_3_1_8b": (
      "Llama",
      _config(
        (128256, 4096, 32, 32, 8, 128, 14336, 131072),
        **_EPS5,
        rope_theta=500000.0,
        rope_scaling=_rope3(8.0),
      ),
    ),
    "mistral_7b_v0_1": (
      "Mistral",
      _config(
        (32000, 4096, 32, 32, 8, 128, 14336, 32768),
        **_EPS5,
        sliding_window=4096,
      ),
    ),
    "mistral_7b_v0_3": (
      "Mistral",
      _config(
        (32768, 4096, 32, 32, 8, 128, 14336, 32768),
        **_EPS5,
        sliding_window=None,
        rope_theta=1000000.0,
      ),
    ),
    "qwen2_0_5b": (
      "Qwen2",
      _config((151936, 896, 24, 14, 2, 64, 4864, 131072), **_QWEN),
    ),
    "qwen2_1_5b": (
      "Qwen2",
      _config((151936, 1536, 28, 12, 2, 128, 8960, 131072), **_QWEN),
    ),
    "qwen2_5_0_5b": (
      "Qwen2",
      _config((151936, 896, 24, 14, 2, 64, 4864, 32768), **_QWEN),
    ),
    "qwen2_5_3b": (
      "Qwen2",
      _config((151936, 2048, 36, 16, 2, 128, 11008, 32768), **_QWEN),
    ),
    "qwen2_5_7b": (
      "Qwen2",
      _config((152064, 3584, 28, 28, 4, 128, 18944, 131072), **_QWEN_7B),
    ),
    "qwen3_0_6b": (
      "Qwen3",
      _config((151936, 1024, 28, 16, 8, 128, 3072, 40960), **_QWEN),
    ),
    "qwen3_1_7b": (
      "Qwen3",
      _config((151936, 2048, 28, 16, 8, 128, 6144, 40960), **_QWEN),
    ),
    "qwen3_4b": (
      "Qwen3",
      _config((151936, 2560, 36, 32, 8, 128, 9728, 40960), **_QWEN),
    ),
    "qwen3_8b": (
      "Qwen3",
      _config((151936, 4096, 36, 32, 8, 128, 12288, 40960), **_QWEN_7B),
    ),
    "gemma_2_2b": (
      "Gemma2",
      _config((256000, 2304, 26, 8, 4, 256, 9216, 8192), **_GEMMA_2),
    ),
    "gemma_2_9b": (
      "Gemma2",
      _config((256000, 3584, 42, 16, 8, 256, 14336, 8192), **_GEMMA_2),
    ),
    "gemma_3_270m": (
      "Gemma3",
      _config((262144, 640, 18, 4, 1, 256, 2048, 32768), **_GEMMA_3),
    ),
    "gemma_3_1b": (
      "Gemma3",
      _config((262144, 1152, 26, 4, 1, 256, 6912, 32768), **_GEMMA_3),
    ),
    "distilgpt2": ("GPT2", _gpt2(768, 6, 12)),
    "gpt2": ("GPT2", _gpt2(768, 12, 12)),
    "gpt2_medium": ("GPT2", _gpt2(1024, 24, 16)),
    "gpt2_large": ("GPT2", _gpt2(1280, 36, 20)),
    "gpt2_xl": ("GPT2", _gpt2(1600, 48, 25)),
  }
)
"""{preset: (transformers' title, its config.json as far as it matters)}."""


def preset_family(preset: str) -> str:
  """Returns jft's family of a preset."""
  of_title = {title(case): family for case, (family, _, _) in CASES.items()}
  return of_title[PRESETS[preset][0]]
