"""BERT: a text encoder with segments and a pooler."""

from typing import Any

import jax.numpy as jnp

from jft.models.bert_config import PRESETS, BertConfig
from jft.models.head import Head
from jft.models.text import TextEncoder

__all__ = ["PRESETS", "Bert", "BertConfig", "module"]


def module(
  config: BertConfig,
  num_classes: Head | int | None = None,
  *,
  dtype: Any = jnp.float32,
  param_dtype: Any = jnp.float32,
  remat: bool = False,
  attention: str = "xla",
) -> "Bert":
  """Returns the Linen module of a config.

  Args:
    config: one of `PRESETS`, or your own.
    num_classes: outputs of the head, or its kind; None for no head; of the task
      "mlm", the size of the vocabulary.
    dtype: of the computation; softmax and LayerNorm's statistics stay float32.
    param_dtype: of the parameters.
    remat: compute each block's activations again in the backward pass: less
      memory for about a third more computation.
    attention: who computes it: "xla", "cudnn", "flash" or "auto", see
      `jft.models.attention.attend`.

  >>> module(PRESETS["minilm_l6"], num_classes=2).config.width
  384
  """
  return Bert(config, num_classes, dtype, param_dtype, remat, attention)


class Bert(TextEncoder):
  """Embeddings, `block_00`... and `pooler`, then `head`.

  Source: Devlin et al., arXiv:1810.04805; transformers.BertModel,
  BertForSequenceClassification, BertForTokenClassification, BertForMaskedLM.
  """
