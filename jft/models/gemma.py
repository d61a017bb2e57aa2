"""Gemma 2 and 3, text: local and global blocks, norms around each branch."""

import dataclasses
import types
from typing import Any, ClassVar, Self

import jax.numpy as jnp

from jft.errors import UserError
from jft.models import decoder_hf
from jft.models.decoder import Decoder
from jft.models.decoder_config import FULL, SLIDING, DecoderConfig, Style
from jft.models.head import Head
from jft.models.rope import Rope
from jft.models.text_config import fields_of
from jft.typing import Mapping

MODEL_TYPES = ("gemma2", "gemma3_text")

FIELDS = types.MappingProxyType(
  {
    "vocab_size": "vocab_size",
    "hidden_size": "width",
    "num_hidden_layers": "depth",
    "num_attention_heads": "heads",
    "num_key_value_heads": "kv_heads",
    "head_dim": "head_dim",
    "intermediate_size": "mlp_width",
    "max_position_embeddings": "max_tokens",
    "hidden_activation": "activation",
    "rms_norm_eps": "norm_eps",
    "attention_dropout": "attention_dropout",
    "initializer_range": "init_std",
    "tie_word_embeddings": "tied",
    "query_pre_attn_scalar": "query_divisor",
    "sliding_window": "window",
  }
)
"""{key of a `config.json`: field of the config}."""

_FIXED = types.MappingProxyType(
  {"quantization_config": {}, "use_bidirectional_attention": False}
)


@dataclasses.dataclass(frozen=True)
class GemmaConfig(DecoderConfig):
  """What makes one Gemma differ from another; the defaults are Gemma 2 2B's.

  Attributes:
    attention_bias: whether the attention's dense layers have one.
    qk_norm: queries and keys are normalised, as in Gemma 3.
    query_divisor: scores are divided by its root.
    attention_cap, logit_cap: scores and logits stay between plus and minus
      this; 0 for no limit. Gemma 3's attention knows none.
    rope, local_rope: the rotary embeddings of full and of sliding blocks.

  Raises:
    UserError: for a value that no Gemma can have.

  Source: transformers.Gemma2Config, Gemma3TextConfig.
  """

  title: ClassVar[str] = "Gemma"

  vocab_size: int = 256000
  width: int = 2304
  depth: int = 26
  heads: int = 8
  kv_heads: int = 4
  head_dim: int = 256
  mlp_width: int = 9216
  max_tokens: int = 8192
  activation: str = "gelu_pytorch_tanh"
  tied: bool = True
  window: int = 4096
  attention_bias: bool = False
  qk_norm: bool = False
  query_divisor: float = 256.0
  attention_cap: float = 0.0
  logit_cap: float = 0.0
  rope: Rope = dataclasses.field(default_factory=Rope)
  local_rope: Rope = dataclasses.field(default_factory=Rope)

  def __post_init__(self):
    super().__post_init__()
    if self.head_dim % 2:
      raise UserError(
        f"Gemma head_dim must be even, to be rotated, got {self.head_dim}."
      )
    if not self.query_divisor:
      raise UserError("Gemma query_divisor must be positive, got 0.")
    for name in ("rope", "local_rope"):
      found = getattr(self, name)
      if not isinstance(found, Rope) or found.kind == "dynamic":
        raise UserError(f"Gemma {name} must be a fixed Rope, got {found!r}.")

  @property
  def style(self) -> Style:
    """What the blocks are made of."""
    return Style(
      norm="rms_offset",
      sandwich=True,
      qkv_bias=self.attention_bias,
      out_bias=self.attention_bias,
      qk_norm=self.qk_norm,
      embedding_scale=self.width**0.5,
      query_scale=self.query_divisor**-0.5,
      attention_cap=self.attention_cap,
      logit_cap=self.logit_cap,
    )

  @property
  def qkv_bias(self) -> bool:
    """As Llama's config has it, for the table of names."""
    return self.attention_bias

  @property
  def out_bias(self) -> bool:
    """As Llama's config has it, for the table of names."""
    return self.attention_bias

  @property
  def mlp_bias(self) -> bool:
    """As Llama's config has it, for the table of names."""
    return False

  @property
  def ropes(self) -> Mapping[str, Rope]:
    """Each kind's rotary embedding."""
    return {FULL: self.rope, SLIDING: self.local_rope}

  @classmethod
  def from_hf(cls, config: Mapping[str, Any]) -> Self:
    """Returns the config that a `config.json` of transformers describes.

    Args:
      config: the parsed file, of the model type gemma2 or gemma3_text.

    Raises:
      UserError: naming the key that asks for something jft's Gemma is not.

    >>> GemmaConfig.from_hf({"model_type": "gemma2"}).layer_types[:2]
    ('sliding', 'full')
    """
    kind = config.get("model_type")
    if kind not in MODEL_TYPES:
      raise UserError(
        f"config.json: model_type is {kind!r}, jft's Gemma reads"
        f" {', '.join(MODEL_TYPES)}."
      )
    decoder_hf.check_stated("Gemma", config, _FIXED)
    third = kind == "gemma3_text"
    usual = {"max_tokens": 131072, "vocab_size": 262208} if third else {}
    fields = usual | fields_of(config, FIELDS)
    if third and config.get("attn_logit_softcapping"):
      # transformers' own Gemma 3 reads the key and applies nothing.
      raise UserError(
        "config.json: attn_logit_softcapping is"
        f" {config['attn_logit_softcapping']!r}, Gemma 3 has none."
      )
    caps = (0.0, 0.0) if third else (50.0, 30.0)
    depth = fields.get("depth", cls.depth)
    return cls(
      **fields,
      **_ropes(third, config, fields.get("max_tokens", cls.max_tokens)),
      layer_types=_layer_types(third, config, depth),
      attention_bias=config.get("attention_bias") or False,
      qk_norm=third,
      attention_cap=_cap(config, "attn_logit_softcapping", caps[0]),
      logit_cap=_cap(config, "final_logit_softcapping", caps[1]),
      task=decoder_hf.task_of(config),
    )


def _cap(config: Mapping[str, Any], key: str, usual: float) -> Any:
  """A cap of null is none; one that is not there is the family's."""
  found = config.get(key, usual)
  return 0.0 if found is None else found


def _layer_types(third: bool, config: Mapping[str, Any], depth: Any) -> Any:
  found = decoder_hf.layer_types(config)
  if found is not None or type(depth) is not int:
    return found or ()
  every = config.get("sliding_window_pattern", 6) if third else 2
  if type(every) is not int or every < 1:
    raise UserError(
      f"config.json: sliding_window_pattern must be positive, got {every!r}."
    )
  return alternating(depth, every)


def alternating(depth: int, every: int) -> tuple[str, ...]:
  """Returns the kinds of blocks of which each `every`th is full.

  >>> alternating(3, 2)
  ('sliding', 'full', 'sliding')
  """
  return tuple(SLIDING if (i + 1) % every else FULL for i in range(depth))


def _ropes(third: bool, config: Mapping[str, Any], longest: Any) -> dict:
  if not third:
    one = decoder_hf.rope_of(config, theta=10000.0, max_tokens=longest)
    return {"rope": one, "local_rope": one}
  found = config.get("rope_parameters") or {}
  # transformers 4: scaling is of the full blocks alone.
  full = found.get("full_attention") or config.get("rope_scaling") or {}
  local = found.get("sliding_attention") or {}
  bases = {"rope_theta": 1e6, "rope_local_base_freq": 1e4}
  thetas = [config.get(key) or usual for key, usual in bases.items()]
  return {
    name: decoder_hf.rope_from(part, theta=theta, max_tokens=longest)
    for name, part, theta in zip(
      ("rope", "local_rope"), (full, local), thetas, strict=True
    )
  }


_GEMMA_2 = GemmaConfig(
  attention_cap=50.0, logit_cap=30.0, layer_types=alternating(26, 2)
)
_GEMMA_3 = GemmaConfig(
  vocab_size=262144,
  width=1152,
  heads=4,
  kv_heads=1,
  mlp_width=6912,
  max_tokens=32768,
  window=512,
  qk_norm=True,
  rope=Rope(1e6),
  layer_types=alternating(26, 6),
)

PRESETS: Mapping[str, GemmaConfig] = types.MappingProxyType(
  {
    "gemma_2_2b": _GEMMA_2,
    "gemma_2_9b": dataclasses.replace(
      _GEMMA_2,
      width=3584,
      depth=42,
      heads=16,
      kv_heads=8,
      mlp_width=14336,
      layer_types=alternating(42, 2),
    ),
    "gemma_3_270m": dataclasses.replace(
      _GEMMA_3,
      width=640,
      depth=18,
      mlp_width=2048,
      layer_types=alternating(18, 6),
    ),
    "gemma_3_1b": _GEMMA_3,
  }
)


def module(
  config: GemmaConfig,
  num_classes: Head | int | None = None,
  *,
  dtype: Any = jnp.float32,
  param_dtype: Any = jnp.float32,
  remat: bool = False,
  scan: bool = False,
  attention: str = "xla",
) -> "Gemma":
  """Returns the Linen module of a config.

  Args:
    config: one of `PRESETS`, or your own.
    num_classes, dtype, param_dtype, remat, scan, attention: as of
      `jft.models.llama.module`.

  >>> module(PRESETS["gemma_3_270m"], 262144).config.width
  640
  """
  return Gemma(config, num_classes, dtype, param_dtype, remat, scan, attention)


class Gemma(Decoder):
  """Embeddings, `block_00`..., `norm`; words are scored by their embedding.

  A norm's leaf is added to 1, as the files have it.

  Source: Gemma Team, arXiv:2408.00118 and arXiv:2503.19786;
  transformers.Gemma2ForCausalLM, Gemma3ForCausalLM and their
  ForSequenceClassification.
  """

  config: GemmaConfig
