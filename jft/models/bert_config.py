"""What makes one BERT differ from another, and the sizes that have names."""

import dataclasses
import reprlib
import types
from typing import Any, Literal

import flax.linen as nn
import jax

from jft.errors import UserError, did_you_mean
from jft.typing import Array, Mapping


def _gelu(x: Array) -> Array:
  """The exact gelu as PyTorch writes it.

  `jax.nn.gelu` is by erfc, which keeps more digits where the result is nearly
  zero, but takes two to three times as long on CPU.
  """
  return x * (0.5 + 0.5 * jax.lax.erf(x * 0.5**0.5))


ACTIVATIONS = types.MappingProxyType(
  {
    "gelu": _gelu,
    "gelu_new": nn.gelu,
    "gelu_pytorch_tanh": nn.gelu,
    "relu": nn.relu,
    "silu": nn.silu,
  }
)
POOLINGS = ("cls_pooler", "cls", "mean")
MAX_DEPTH = 1000
MAX_SIZE = 2**24


def _check_known(what: str, value: Any, known: Any) -> None:
  if not isinstance(value, str) or value not in known:
    raise UserError(
      f"{what} must be one of {', '.join(known)}, got {reprlib.repr(value)}."
      f"{did_you_mean(value, known) if isinstance(value, str) else ''}"
    )


def _check_number(field: str, default: Any, value: Any) -> None:
  if isinstance(default, int):
    most = MAX_DEPTH if field == "depth" else MAX_SIZE
    if type(value) is not int or not 1 <= value <= most:
      raise UserError(
        f"BERT {field} must be an integer from 1 to {most}, got"
        f" {reprlib.repr(value)}."
      )
  if isinstance(default, float):
    below = 1 if field.endswith("dropout") else 1000
    if type(value) not in (int, float) or not 0 <= value < below:
      raise UserError(
        f"BERT {field} must be in [0, {below}), got {reprlib.repr(value)}."
      )


@dataclasses.dataclass(frozen=True)
class BertConfig:
  """What makes one BERT differ from another; the defaults are BERT base.

  Attributes:
    vocab_size, max_tokens, token_types: rows of the three embeddings.
    width: channels of a token state; depth: blocks; heads: of the attention.
    mlp_width: channels between the two layers of a block's MLP.
    activation: of the MLP, a key of `ACTIVATIONS`; "gelu" is the exact one.
    norm_eps: added to the variance in every LayerNorm.
    dropout, attention_dropout, head_dropout: rates, of the states, of the
      attention weights and of the features before the head.
    init_std: of the normal that fresh kernels and embeddings are drawn from.
    pooling: how states become `features`: "cls_pooler" is BERT's dense and
      tanh on the first token, "cls" the first token as it is, "mean" the mean
      over the attended tokens, as sentence-transformers has it.

  Raises:
    UserError: for a value that no BERT can have.
  """

  vocab_size: int = 30522
  width: int = 768
  depth: int = 12
  heads: int = 12
  mlp_width: int = 3072
  max_tokens: int = 512
  token_types: int = 2
  activation: str = "gelu"
  norm_eps: float = 1e-12
  dropout: float = 0.1
  attention_dropout: float = 0.1
  head_dropout: float = 0.1
  init_std: float = 0.02
  pooling: Literal["cls_pooler", "cls", "mean"] = "cls_pooler"

  def __post_init__(self):
    for field, known in (("activation", ACTIVATIONS), ("pooling", POOLINGS)):
      _check_known(f"BERT {field}", getattr(self, field), known)
    for field in dataclasses.fields(self):
      _check_number(field.name, field.default, getattr(self, field.name))
    if self.width % self.heads:
      raise UserError(
        f"BERT width {self.width} must be a multiple of heads {self.heads}."
      )

  @classmethod
  def from_hf(cls, config: Mapping[str, Any]) -> "BertConfig":
    """Returns the config that a `config.json` of transformers describes.

    What it leaves out has BERT base's value, as there. `pooling` is no part of
    it: `dataclasses.replace(config, pooling="mean")`.

    Args:
      config: the parsed file.

    Raises:
      UserError: naming the key that asks for something jft's BERT is not.

    Source: transformers.BertConfig.

    >>> BertConfig.from_hf({"hidden_size": 384, "num_hidden_layers": 6}).depth
    6
    """
    for key, want in _HF_FIXED.items():
      if config.get(key, want) != want:
        raise UserError(
          f"config.json: {key} is {reprlib.repr(config[key])}, jft's BERT only"
          f" has {want!r}."
        )
    if "hidden_act" in config:
      _check_known("config.json: hidden_act", config["hidden_act"], ACTIVATIONS)
    fields = {
      field: config[key]
      for key, field in _HF_FIELDS.items()
      if config.get(key) is not None
    }
    # A classifier_dropout of null, the default, means hidden_dropout_prob.
    fields.setdefault("head_dropout", fields.get("dropout", cls.dropout))
    return cls(**fields)


_HF_FIELDS = types.MappingProxyType(
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
_HF_FIXED = types.MappingProxyType(
  {
    "model_type": "bert",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "pruned_heads": {},
    "quantization_config": None,
  }
)


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
