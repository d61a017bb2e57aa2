"""What makes one Llama, Mistral or Qwen differ from another."""

import dataclasses
import types
from typing import Any, ClassVar, Self

from jft.errors import UserError
from jft.models import decoder_hf
from jft.models.decoder_config import FULL, SLIDING, DecoderConfig, Style
from jft.models.rope import Rope
from jft.models.text_config import fields_of
from jft.typing import Mapping

MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3")

_FIELDS = types.MappingProxyType(
  {
    "vocab_size": "vocab_size",
    "hidden_size": "width",
    "num_hidden_layers": "depth",
    "num_attention_heads": "heads",
    "num_key_value_heads": "kv_heads",
    "head_dim": "head_dim",
    "intermediate_size": "mlp_width",
    "max_position_embeddings": "max_tokens",
    "hidden_act": "activation",
    "rms_norm_eps": "norm_eps",
    "attention_dropout": "attention_dropout",
    "initializer_range": "init_std",
    "tie_word_embeddings": "tied",
  }
)
_FIXED = types.MappingProxyType(
  {
    "quantization_config": {},
    "partial_rotary_factor": 1.0,
    "is_causal": True,
    "use_bidirectional_attention": False,
    "add_cross_attention": False,
  }
)
_USUAL = types.MappingProxyType(
  {
    "llama": {},
    "mistral": {"kv_heads": 8, "mlp_width": 14336, "max_tokens": 131072},
    "qwen2": {"vocab_size": 151936, "mlp_width": 22016, "max_tokens": 32768},
    "qwen3": {
      "vocab_size": 151936,
      "mlp_width": 22016,
      "max_tokens": 32768,
      "head_dim": 128,
    },
  }
)
"""{model type: what transformers has where a file does not say}."""


@dataclasses.dataclass(frozen=True)
class LlamaConfig(DecoderConfig):
  """What makes one Llama differ from another; the defaults are Llama 7B's.

  Attributes:
    qkv_bias, out_bias, mlp_bias: which dense layers have one.
    qk_norm: queries and keys are normalised, as in Qwen3.
    rope: the rotary position embedding.

  Raises:
    UserError: for a value that no Llama can have.

  Source: transformers.LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config.
  """

  title: ClassVar[str] = "Llama"

  qkv_bias: bool = False
  out_bias: bool = False
  mlp_bias: bool = False
  qk_norm: bool = False
  rope: Rope = dataclasses.field(default_factory=Rope)

  def __post_init__(self):
    super().__post_init__()
    if self.head_dim % 2:
      raise UserError(
        f"Llama head_dim must be even, to be rotated, got {self.head_dim}."
      )
    if not isinstance(self.rope, Rope):
      raise UserError(f"Llama rope must be a Rope, got {self.rope!r}.")
    if (
      self.rope.kind == "dynamic"
      and self.max_tokens > self.rope.original_tokens
    ):
      raise UserError(
        f"Llama max_tokens {self.max_tokens}: with dynamic rope jft reads at"
        f" most the {self.rope.original_tokens} tokens of the pretraining."
      )

  @property
  def style(self) -> Style:
    """What the blocks are made of."""
    return Style(
      qkv_bias=self.qkv_bias,
      out_bias=self.out_bias,
      mlp_bias=self.mlp_bias,
      qk_norm=self.qk_norm,
    )

  @property
  def ropes(self) -> Mapping[str, Rope]:
    """Each kind's rotary embedding."""
    return {FULL: self.rope, SLIDING: self.rope}

  @classmethod
  def from_hf(cls, config: Mapping[str, Any]) -> Self:
    """Returns the config that a `config.json` of transformers describes.

    What it leaves out has the default of transformers' own config. `task` is
    "classification" where the file says that such a model was saved.

    Args:
      config: the parsed file, of the model type llama, mistral, qwen2 or
        qwen3; without one it is llama.

    Raises:
      UserError: naming the key that asks for something jft's Llama is not.

    >>> LlamaConfig.from_hf({"hidden_size": 64}).head_dim
    2
    """
    kind = config.get("model_type", "llama")
    if kind not in MODEL_TYPES:
      raise UserError(
        f"config.json: model_type is {kind!r}, jft's Llama reads"
        f" {', '.join(MODEL_TYPES)}."
      )
    decoder_hf.check_stated("Llama", config, _FIXED)
    fields = _USUAL[kind] | fields_of(config, _FIELDS)
    heads = fields.get("heads", cls.heads)
    fields.setdefault("kv_heads", heads)
    if "head_dim" not in fields:
      fields["head_dim"] = _head_dim(fields.get("width", cls.width), heads)
    longest = fields.get("max_tokens", cls.max_tokens)
    rope = decoder_hf.rope_of(config, theta=10000.0, max_tokens=longest)
    return cls(
      **fields,
      **_biases(kind, config),
      **_windows(kind, config, fields.get("depth", cls.depth)),
      qk_norm=kind == "qwen3",
      rope=rope,
      task=decoder_hf.task_of(config),
    )


def _head_dim(width: Any, heads: Any) -> int:
  whole = type(width) is type(heads) is int and heads > 0
  if not whole or width % heads:
    raise UserError(
      f"config.json: hidden_size {width!r} must be a multiple of"
      f" num_attention_heads {heads!r}, where there is no head_dim."
    )
  return width // heads


def _biases(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
  # Files of Mistral and Qwen2 may have these keys; their code reads neither.
  asked = config.get("attention_bias") or False
  attention = asked if kind in ("llama", "qwen3") else False
  mlp = (config.get("mlp_bias") or False) if kind == "llama" else False
  return {
    "qkv_bias": kind == "qwen2" or attention,
    "out_bias": attention,
    "mlp_bias": mlp,
  }


def _windows(kind: str, config: Mapping[str, Any], depth: Any) -> dict:
  """Which blocks slide: none of Llama's, all of Mistral's, some of Qwen's."""
  if kind == "llama":
    return {}
  window = config.get("sliding_window", 4096) or 0
  if kind == "mistral":
    decoder_hf.check_stated("Mistral", config, {"layer_types": None})
    return {"window": window}
  if not config.get("use_sliding_window", False):
    window = 0
  found = decoder_hf.layer_types(config)
  if found is None and window and type(depth) is int:
    first = config.get("max_window_layers", 28)
    found = tuple(SLIDING if i >= first else FULL for i in range(depth))
  if not found or SLIDING not in found:
    return {}
  return {"window": window, "layer_types": found}


_CLASSES = types.MappingProxyType(
  {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3"}
)


def to_hf(
  config: LlamaConfig, headed: bool, model_type: str = ""
) -> dict[str, Any]:
  """Returns the settings that `LlamaConfig.from_hf` reads this config from.

  Args:
    config: of the network.
    headed: whether there is a head, of the config's task.
    model_type: of the source, where it has one.

  >>> config = LlamaConfig(width=64, heads=4, kv_heads=2, head_dim=16)
  >>> LlamaConfig.from_hf(to_hf(config, True)) == config
  True
  """
  kind = model_type if model_type in _CLASSES else _kind(config)
  made: dict[str, Any] = {
    "model_type": kind,
    "architectures": [decoder_hf.class_of(_CLASSES[kind], config, headed)],
    **{key: getattr(config, field) for key, field in _FIELDS.items()},
    "rope_parameters": decoder_hf.rope_to_hf(config.rope),
    "rope_theta": config.rope.theta,
  }
  if kind in ("llama", "qwen3"):
    made["attention_bias"] = config.out_bias
  if kind == "llama":
    return made | {"mlp_bias": config.mlp_bias}
  made["sliding_window"] = config.window or None
  if kind != "mistral":
    made["use_sliding_window"] = bool(config.window)
    made["layer_types"] = decoder_hf.layer_types_to_hf(config)
  return made


def _kind(config: LlamaConfig) -> str:
  if config.qk_norm:
    return "qwen3"
  if config.qkv_bias and not config.out_bias:
    return "qwen2"
  return "mistral" if config.window else "llama"
