"""The sizes of Llama, Mistral, SmolLM2, Qwen and llama2.c that have names."""

import dataclasses
import types

from jft.models.llama_config import LlamaConfig
from jft.models.rope import Rope
from jft.typing import Mapping


def _llama3(factor: float) -> Rope:
  return Rope(500000.0, "llama3", factor, original_tokens=8192)


_LLAMA_2 = LlamaConfig(max_tokens=4096, norm_eps=1e-5)
_LLAMA_3_2 = LlamaConfig(
  vocab_size=128256,
  width=2048,
  depth=16,
  kv_heads=8,
  head_dim=64,
  mlp_width=8192,
  max_tokens=131072,
  norm_eps=1e-5,
  tied=True,
  rope=_llama3(32.0),
)
_MISTRAL = dataclasses.replace(
  _LLAMA_2, kv_heads=8, mlp_width=14336, max_tokens=32768
)
_SMOLLM2 = LlamaConfig(
  vocab_size=49152,
  width=576,
  depth=30,
  heads=9,
  kv_heads=3,
  head_dim=64,
  mlp_width=1536,
  max_tokens=8192,
  norm_eps=1e-5,
  init_std=0.041666666666666664,
  tied=True,
  rope=Rope(100000.0),
)
_QWEN2 = LlamaConfig(
  vocab_size=151936,
  width=896,
  depth=24,
  heads=14,
  kv_heads=2,
  head_dim=64,
  mlp_width=4864,
  max_tokens=131072,
  tied=True,
  qkv_bias=True,
  rope=Rope(1000000.0),
)
_QWEN3 = LlamaConfig(
  vocab_size=151936,
  width=1024,
  depth=28,
  heads=16,
  kv_heads=8,
  mlp_width=3072,
  max_tokens=40960,
  tied=True,
  qk_norm=True,
  rope=Rope(1000000.0),
)
# Karpathy's llama2.c trains on TinyStories, and ties.
_STORIES = LlamaConfig(
  width=288,
  depth=6,
  heads=6,
  kv_heads=6,
  head_dim=48,
  mlp_width=768,
  max_tokens=256,
  norm_eps=1e-5,
  tied=True,
)


def _changed(config: LlamaConfig, **sizes: int | bool) -> LlamaConfig:
  return dataclasses.replace(config, **sizes)


PRESETS: Mapping[str, LlamaConfig] = types.MappingProxyType(
  {
    "stories260k": _changed(
      _STORIES,
      vocab_size=512,
      width=64,
      depth=5,
      heads=8,
      kv_heads=4,
      head_dim=8,
      mlp_width=172,
      max_tokens=512,
    ),
    "stories15m": _STORIES,
    "smollm2_135m": _SMOLLM2,
    "smollm2_360m": dataclasses.replace(
      _SMOLLM2,
      width=960,
      depth=32,
      heads=15,
      kv_heads=5,
      mlp_width=2560,
      init_std=0.02,
    ),
    "smollm2_1_7b": dataclasses.replace(
      _SMOLLM2,
      width=2048,
      depth=24,
      heads=32,
      kv_heads=32,
      mlp_width=8192,
      init_std=0.02,
      rope=Rope(130000.0),
    ),
    "llama_2_7b": _LLAMA_2,
    "llama_3_2_1b": _LLAMA_3_2,
    "llama_3_2_3b": _changed(
      _LLAMA_3_2, width=3072, depth=28, heads=24, head_dim=128
    ),
    "llama_3_1_8b": dataclasses.replace(
      _LLAMA_3_2,
      width=4096,
      depth=32,
      head_dim=128,
      mlp_width=14336,
      tied=False,
      rope=_llama3(8.0),
    ),
    "mistral_7b_v0_1": _changed(_MISTRAL, window=4096),
    "mistral_7b_v0_3": dataclasses.replace(
      _MISTRAL, vocab_size=32768, rope=Rope(1000000.0)
    ),
    "qwen2_0_5b": _QWEN2,
    "qwen2_1_5b": _changed(
      _QWEN2, width=1536, depth=28, heads=12, head_dim=128, mlp_width=8960
    ),
    "qwen2_5_0_5b": _changed(_QWEN2, max_tokens=32768),
    "qwen2_5_3b": _changed(
      _QWEN2,
      width=2048,
      depth=36,
      heads=16,
      head_dim=128,
      mlp_width=11008,
      max_tokens=32768,
    ),
    "qwen2_5_7b": _changed(
      _QWEN2,
      vocab_size=152064,
      width=3584,
      depth=28,
      heads=28,
      kv_heads=4,
      head_dim=128,
      mlp_width=18944,
      tied=False,
    ),
    "qwen3_0_6b": _QWEN3,
    "qwen3_1_7b": _changed(_QWEN3, width=2048, mlp_width=6144),
    "qwen3_4b": _changed(
      _QWEN3, width=2560, depth=36, heads=32, mlp_width=9728
    ),
    "qwen3_8b": _changed(
      _QWEN3, width=4096, depth=36, heads=32, mlp_width=12288, tied=False
    ),
  }
)
