"""Llama and those built like it: Mistral, SmolLM2, Qwen2 and Qwen3."""

from typing import Any

import jax.numpy as jnp

from jft.models.decoder import Decoder
from jft.models.head import Head
from jft.models.llama_config import LlamaConfig
from jft.models.llama_presets import PRESETS

__all__ = ["PRESETS", "Llama", "LlamaConfig", "module"]


def module(
  config: LlamaConfig,
  num_classes: Head | int | None = None,
  *,
  dtype: Any = jnp.float32,
  param_dtype: Any = jnp.float32,
  remat: bool = False,
  scan: bool = False,
  attention: str = "xla",
) -> "Llama":
  """Returns the Linen module of a config.

  Args:
    config: one of `PRESETS`, or your own.
    num_classes: of the task "lm", the size of the vocabulary; of the task
      "classification", outputs of the head, or its kind; None for no head.
    dtype: of the computation; softmax, norms' statistics and rotary tables
      stay float32.
    param_dtype: of the parameters.
    remat: compute each block's activations again in the backward pass: less
      memory for about a third more computation.
    scan: run the blocks as one loop over their stacked parameters: compiling
      takes as long as for one block, at the price of a copy of them.
    attention: who computes it: "xla", "cudnn", "flash" or "auto", see
      `jft.models.attention.attend`.

  >>> module(PRESETS["smollm2_135m"], 49152).config.width
  576
  """
  return Llama(config, num_classes, dtype, param_dtype, remat, scan, attention)


class Llama(Decoder):
  """Embeddings, `block_00`..., `norm`, then `head` where it is not tied.

  Source: Touvron et al., arXiv:2302.13971 and arXiv:2307.09288; Jiang et al.,
  arXiv:2310.06825; transformers.LlamaForCausalLM, MistralForCausalLM,
  Qwen2ForCausalLM, Qwen3ForCausalLM and their ForSequenceClassification.
  """

  config: LlamaConfig
