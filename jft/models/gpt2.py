"""GPT-2: learned positions, LayerNorm before each branch, biases everywhere."""

import dataclasses
import types
from typing import Any, ClassVar, Self

import jax.numpy as jnp

from jft.errors import UserError
from jft.models import decoder_hf
from jft.models.decoder import Decoder
from jft.models.decoder_config import DecoderConfig, Style
from jft.models.head import Head
from jft.models.text_config import fields_of
from jft.typing import Mapping

_FIELDS = types.MappingProxyType(
  {
    "vocab_size": "vocab_size",
    "n_embd": "width",
    "n_layer": "depth",
    "n_head": "heads",
    "n_inner": "mlp_width",
    "n_positions": "max_tokens",
    "activation_function": "activation",
    "layer_norm_epsilon": "norm_eps",
    "resid_pdrop": "dropout",
    "embd_pdrop": "embedding_dropout",
    "attn_pdrop": "attention_dropout",
    "initializer_range": "init_std",
    "tie_word_embeddings": "tied",
  }
)
_ALIASES = types.MappingProxyType(
  {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "max_position_embeddings": "n_positions",
  }
)
"""{what transformers also reads: the key that it writes}."""

# reorder_and_upcast_attn only says where half precision becomes float32.
_FIXED = types.MappingProxyType(
  {
    "quantization_config": {},
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
  }
)


@dataclasses.dataclass(frozen=True)
class Gpt2Config(DecoderConfig):
  """What makes one GPT-2 differ from another; the defaults are the smallest's.

  `kv_heads` is `heads`, and `head_dim` the width over them.

  Raises:
    UserError: for a value that no GPT-2 can have.

  Source: transformers.GPT2Config.

  >>> Gpt2Config.from_hf({"n_layer": 6}).depth
  6
  """

  title: ClassVar[str] = "GPT-2"

  vocab_size: int = 50257
  width: int = 768
  depth: int = 12
  heads: int = 12
  kv_heads: int = 12
  head_dim: int = 64
  mlp_width: int = 3072
  max_tokens: int = 1024
  activation: str = "gelu_new"
  norm_eps: float = 1e-5
  dropout: float = 0.1
  embedding_dropout: float = 0.1
  attention_dropout: float = 0.1
  tied: bool = True

  def __post_init__(self):
    super().__post_init__()
    if self.heads * self.head_dim != self.width or self.kv_heads != self.heads:
      raise UserError(
        f"GPT-2 width {self.width} must be heads {self.heads} times head_dim"
        f" {self.head_dim}, and kv_heads {self.kv_heads} as many as heads."
      )

  @property
  def style(self) -> Style:
    """What the blocks are made of."""
    return Style(
      norm="layer",
      gated=False,
      qkv_bias=True,
      out_bias=True,
      mlp_bias=True,
      residual_std=self.init_std / (2 * self.depth) ** 0.5,
    )

  @property
  def position_rows(self) -> int:
    """Rows of the positions' embedding."""
    return self.max_tokens

  @classmethod
  def from_hf(cls, config: Mapping[str, Any]) -> Self:
    """Returns the config that a `config.json` of transformers describes.

    OpenAI's own `hparams.json` has the same keys, but for `n_ctx` and
    `n_vocab`, which are read as well.

    Args:
      config: the parsed file.

    Raises:
      UserError: naming the key that asks for something jft's GPT-2 is not.
    """
    decoder_hf.check_stated("GPT-2", config, {"model_type": "gpt2", **_FIXED})
    found = dict(config)
    for name, key in (*_ALIASES.items(), ("n_vocab", "vocab_size")):
      if config.get(name) is not None:
        found.setdefault(key, config[name])
    if config.get("n_ctx") is not None:  # older files have both, and equal
      found.setdefault("n_positions", config["n_ctx"])
    fields = fields_of(found, _FIELDS)
    width = fields.get("width", cls.width)
    heads = fields.get("heads", cls.heads)
    if not type(width) is type(heads) is int or heads < 1 or width % heads:
      raise UserError(
        f"config.json: n_embd {width!r} must be a multiple of n_head {heads!r}."
      )
    fields.setdefault("mlp_width", 4 * width)
    return cls(
      **fields,
      kv_heads=heads,
      head_dim=width // heads,
      task=decoder_hf.task_of(config),
    )


def to_hf(
  config: Gpt2Config, headed: bool, model_type: str = ""
) -> dict[str, Any]:
  """Returns the settings that `Gpt2Config.from_hf` reads this config from.

  Args:
    config: of the network.
    headed: whether there is a head, of the config's task.
    model_type: not needed, there is one.

  >>> config = Gpt2Config(depth=6, tied=False)
  >>> Gpt2Config.from_hf(to_hf(config, True)) == config
  True
  """
  del model_type
  made = decoder_hf.class_of("GPT2", config, headed, "LMHeadModel")
  return {
    "model_type": "gpt2",
    "architectures": [made],
    **{key: getattr(config, field) for key, field in _FIELDS.items()},
  }


def _preset(width: int, depth: int, heads: int) -> Gpt2Config:
  return Gpt2Config(
    width=width,
    depth=depth,
    heads=heads,
    kv_heads=heads,
    mlp_width=4 * width,
  )


PRESETS: Mapping[str, Gpt2Config] = types.MappingProxyType(
  {
    "distilgpt2": _preset(768, 6, 12),
    "gpt2": Gpt2Config(),
    "gpt2_medium": _preset(1024, 24, 16),
    "gpt2_large": _preset(1280, 36, 20),
    "gpt2_xl": _preset(1600, 48, 25),
  }
)


def module(
  config: Gpt2Config,
  num_classes: Head | int | None = None,
  *,
  dtype: Any = jnp.float32,
  param_dtype: Any = jnp.float32,
  remat: bool = False,
  scan: bool = False,
  attention: str = "xla",
) -> "Gpt2":
  """Returns the Linen module of a config.

  Args:
    config: one of `PRESETS`, or your own.
    num_classes, dtype, param_dtype, remat, scan, attention: as of
      `jft.models.llama.module`.

  >>> module(PRESETS["gpt2"], 50257).config.width
  768
  """
  return Gpt2(config, num_classes, dtype, param_dtype, remat, scan, attention)


class Gpt2(Decoder):
  """Embeddings, `block_00`..., `norm`; words are scored by their embedding.

  Source: Radford et al., "Language Models are Unsupervised Multitask Learners",
  2019; transformers.GPT2LMHeadModel, GPT2ForSequenceClassification.
  """

  config: Gpt2Config
