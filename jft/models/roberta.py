"""RoBERTa and XLM-R: BERT without segments, whose positions skip padding."""

import dataclasses
import types
from typing import Any, ClassVar

import jax.numpy as jnp

from jft.models.bert_config import HF_FIELDS, HF_FIXED
from jft.models.head import Head
from jft.models.text import TextEncoder
from jft.models.text_config import TextConfig
from jft.typing import Array, Int, Mapping


@dataclasses.dataclass(frozen=True)
class RobertaConfig(TextConfig):
  """What makes one RoBERTa differ from another; the defaults are the base's.

  Attributes:
    token_types: rows of the segments' embedding; with one, all tokens get it.
    pad_id: the padding's id; positions count from the number after it, and
      padding stands at it.

  Raises:
    UserError: for a value that no RoBERTa can have.

  Source: transformers.RobertaConfig, XLMRobertaConfig.

  >>> RobertaConfig.from_hf({"max_position_embeddings": 514}).max_tokens
  512
  """

  title: ClassVar[str] = "RoBERTa"
  hf_fields: ClassVar[Mapping[str, str]] = types.MappingProxyType(
    {**HF_FIELDS, "pad_token_id": "pad_id"}
  )
  hf_fixed: ClassVar[Mapping[str, Any]] = HF_FIXED

  hf_classes: ClassVar[Mapping[str, str]] = types.MappingProxyType(
    {
      "roberta": "Roberta",
      "xlm-roberta": "XLMRoberta",
      "camembert": "Camembert",
    }
  )

  vocab_size: int = 50265
  norm_eps: float = 1e-5
  token_types: int = 1
  pad_id: int = 1

  @property
  def segments(self) -> int:
    """Rows of the segments' embedding."""
    return self.token_types

  @property
  def position_rows(self) -> int:
    """Rows of the positions' embedding; no token takes the first ones."""
    return self.max_tokens + self.pad_id + 1

  @property
  def mlm_activation(self) -> str:
    """The original has it fixed, whatever the blocks have."""
    return "gelu"

  def hf_written(self) -> dict[str, Any]:
    """Returns what the file says of this config; `hf_adjusted`'s inverse."""
    rows = {"max_position_embeddings": self.position_rows}
    return super().hf_written() | rows

  @classmethod
  def hf_adjusted(cls, fields: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields as this family means them, from the file's."""
    # What a config.json leaves out is as in BERT's.
    usual = {"max_tokens": 512, "token_types": 2, "norm_eps": 1e-12}
    fields = {**usual, **fields}
    rows, pad = fields["max_tokens"], fields.get("pad_id", cls.pad_id)
    if type(rows) is type(pad) is int:  # what is no number is refused later
      fields["max_tokens"] = rows - pad - 1
    return fields


_LARGE = RobertaConfig(width=1024, depth=24, heads=16, mlp_width=4096)

PRESETS: Mapping[str, RobertaConfig] = types.MappingProxyType(
  {
    "roberta_base": RobertaConfig(),
    "roberta_large": _LARGE,
    "distilroberta_base": RobertaConfig(depth=6),
    "xlm_roberta_base": RobertaConfig(vocab_size=250002),
    "xlm_roberta_large": dataclasses.replace(_LARGE, vocab_size=250002),
  }
)


def module(
  config: RobertaConfig,
  num_classes: Head | int | None = None,
  *,
  dtype: Any = jnp.float32,
  param_dtype: Any = jnp.float32,
  remat: bool = False,
  attention: str = "xla",
) -> "Roberta":
  """Returns the Linen module of a config.

  Args:
    config: one of `PRESETS`, or your own.
    num_classes: outputs of the family's head, a dense layer and a tanh before
      the last layer; or a head of another kind; None for no head; of the task
      "mlm", the size of the vocabulary.
    dtype, param_dtype, remat, attention: as of `jft.models.bert.module`.

  >>> module(PRESETS["roberta_base"], num_classes=2).config.position_rows
  514
  """
  return Roberta(config, num_classes, dtype, param_dtype, remat, attention)


class Roberta(TextEncoder):
  """Embeddings and `block_00`..., then `head`.

  Source: Liu et al., arXiv:1907.11692; Conneau et al., arXiv:1911.02116;
  transformers.RobertaModel and its ForSequenceClassification,
  ForTokenClassification and ForMaskedLM.
  """

  config: RobertaConfig

  def positions(self, ids: Int[Array, "b n"]) -> Int[Array, "b n"]:
    """Returns 1, 2, ... for what is no padding, all moved on by `pad_id`."""
    return positions(ids, self.config.pad_id)

  def features_head(self, num_classes: int) -> tuple[Head, float]:
    """Returns the family's own classifier and the dropout before it."""
    rate, widths = self.config.head_rate, (self.config.width,)
    return Head(num_classes, widths, dropout=rate, activation="tanh"), rate


def positions(ids: Int[Array, "b n"], pad_id: int) -> Int[Array, "b n"]:
  """Returns the rows of the positions' embedding that the tokens take.

  Args:
    ids: of the tokens.
    pad_id: the padding's.

  >>> positions(jnp.array([[0, 9, 9, 1, 1]]), 1).tolist()
  [[2, 3, 4, 1, 1]]
  """
  real = (ids != pad_id).astype(jnp.int32)
  return jnp.cumsum(real, axis=1) * real + pad_id
