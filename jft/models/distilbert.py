"""DistilBERT: BERT of half the blocks, without segments and pooler."""

import dataclasses
import types
from typing import Any, ClassVar

import jax.numpy as jnp

from jft.models.head import Head
from jft.models.text import TextEncoder
from jft.models.text_config import TextConfig
from jft.typing import Mapping


@dataclasses.dataclass(frozen=True)
class DistilBertConfig(TextConfig):
  """What makes one DistilBERT differ from another; the defaults are the base's.

  Raises:
    UserError: for a value that no DistilBERT can have.

  Source: transformers.DistilBertConfig.

  >>> DistilBertConfig.from_hf({"dim": 384, "n_heads": 6}).width
  384
  """

  title: ClassVar[str] = "DistilBERT"
  hf_fields: ClassVar[Mapping[str, str]] = types.MappingProxyType(
    {
      "vocab_size": "vocab_size",
      "dim": "width",
      "n_layers": "depth",
      "n_heads": "heads",
      "hidden_dim": "mlp_width",
      "max_position_embeddings": "max_tokens",
      "activation": "activation",
      "dropout": "dropout",
      "attention_dropout": "attention_dropout",
      "seq_classif_dropout": "head_dropout",
      "initializer_range": "init_std",
    }
  )
  hf_fixed: ClassVar[Mapping[str, Any]] = types.MappingProxyType(
    {
      "model_type": "distilbert",
      # Else the positions are a constant that is never trained.
      "sinusoidal_pos_embds": False,
      "pruned_heads": {},
      "quantization_config": None,
    }
  )

  hf_classes: ClassVar[Mapping[str, str]] = types.MappingProxyType(
    {"distilbert": "DistilBert"}
  )

  depth: int = 6
  head_dropout: float | None = 0.2


PRESETS: Mapping[str, DistilBertConfig] = types.MappingProxyType(
  {
    "distilbert_base": DistilBertConfig(),
    "distilbert_base_cased": DistilBertConfig(vocab_size=28996),
    "distilbert_base_multilingual": DistilBertConfig(vocab_size=119547),
  }
)


def module(
  config: DistilBertConfig,
  num_classes: Head | int | None = None,
  *,
  dtype: Any = jnp.float32,
  param_dtype: Any = jnp.float32,
  remat: bool = False,
  attention: str = "xla",
) -> "DistilBert":
  """Returns the Linen module of a config.

  Args:
    config: one of `PRESETS`, or your own.
    num_classes: outputs of the family's head, a dense layer and a relu before
      the last layer; or a head of another kind; None for no head; of the task
      "mlm", the size of the vocabulary.
    dtype, param_dtype, remat, attention: as of `jft.models.bert.module`.

  >>> module(PRESETS["distilbert_base"], num_classes=2).config.depth
  6
  """
  return DistilBert(config, num_classes, dtype, param_dtype, remat, attention)


class DistilBert(TextEncoder):
  """Embeddings and `block_00`..., then `head`.

  Source: Sanh et al., arXiv:1910.01108; transformers.DistilBertModel and its
  ForSequenceClassification, ForTokenClassification and ForMaskedLM.
  """

  config: DistilBertConfig

  def features_head(self, num_classes: int) -> tuple[Head, float]:
    """Returns the family's own classifier and the dropout before it."""
    rate, widths = self.config.head_rate, (self.config.width,)
    return Head(num_classes, widths, dropout=rate, activation="relu"), 0.0

  def tokens_dropout(self) -> float:
    """Returns the dropout before a classifier of tokens."""
    return self.config.dropout
