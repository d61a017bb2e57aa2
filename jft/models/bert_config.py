"""What makes one BERT differ from another, and the sizes that have names."""

import dataclasses
import types
from typing import Any, ClassVar, Literal

from jft.models.text_config import TextConfig
from jft.typing import Mapping

HF_FIELDS = types.MappingProxyType(
  {
    "vocab_size": "vocab_size",
    "hidden_size": "width",
    "num_hidden_layers": "depth",
    "num_attention_heads": "heads",
    "intermediate_size": "mlp_width",
    "max_position_embeddings": "max_tokens",
    "type_vocab_size": "token_types",
    "hidden_act": "activation",
    "layer_norm_eps": "norm_eps",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "classifier_dropout": "head_dropout",
    "initializer_range": "init_std",
  }
)
"""{key of transformers' config.json: field}; RoBERTa has the same."""

HF_FIXED = types.MappingProxyType(
  {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "pruned_heads": {},
    "quantization_config": None,
  }
)
"""Keys that must have this value, if they are there."""


@dataclasses.dataclass(frozen=True)
class BertConfig(TextConfig):
  """What makes one BERT differ from another; the defaults are BERT base.

  Attributes:
    token_types: kinds of segment, such as question and answer.

  Raises:
    UserError: for a value that no BERT can have.

  Source: transformers.BertConfig.
  """

  hf_fields: ClassVar[Mapping[str, str]] = HF_FIELDS
  hf_fixed: ClassVar[Mapping[str, Any]] = types.MappingProxyType(
    {"model_type": "bert", **HF_FIXED}
  )

  hf_classes: ClassVar[Mapping[str, str]] = types.MappingProxyType(
    {"bert": "Bert"}
  )

  pooling: Literal["cls_pooler", "cls", "mean"] = "cls_pooler"
  token_types: int = 2

  @property
  def segments(self) -> int:
    """Rows of the segments' embedding."""
    return self.token_types


def _preset(width: int, depth: int, heads: int) -> BertConfig:
  return BertConfig(width=width, depth=depth, heads=heads, mlp_width=4 * width)


# Turc et al., arXiv:1908.08962, has the sizes from tiny to medium.
PRESETS: Mapping[str, BertConfig] = types.MappingProxyType(
  {
    "bert_tiny": _preset(128, 2, 2),
    "bert_mini": _preset(256, 4, 4),
    "bert_small": _preset(512, 4, 8),
    "bert_medium": _preset(512, 8, 8),
    "bert_base": _preset(768, 12, 12),
    "bert_large": _preset(1024, 24, 16),
    "minilm_l6": _preset(384, 6, 12),
  }
)
