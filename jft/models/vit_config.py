"""What makes one vision transformer differ from another, whatever its name."""

import dataclasses
import reprlib
import types
from typing import Any, ClassVar, Literal

from jft.errors import UserError, did_you_mean
from jft.models.activations import ACTIVATIONS
from jft.typing import Mapping

CHOICES: Mapping[str, tuple[str, ...]] = types.MappingProxyType(
  {
    "activation": tuple(ACTIVATIONS),
    "distillation": ("none", "token", "head"),
    "positions": ("all", "class", "patches"),
    "norm": ("tokens", "pooled", "none"),
    "pooling": ("cls", "mean", "cls_mean", "cls_pooler"),
    "recipe": ("", "deit", "dinov2", "openai"),
  }
)
_MAY_BE_ZERO = ("registers", "projection")
_MAX = types.MappingProxyType({"depth": 1000, "in_channels": 2**16})


@dataclasses.dataclass(frozen=True)
class Config:
  """What makes one vision transformer differ; the defaults are ViT-B/16.

  Attributes:
    width: channels of a token; depth: blocks; heads: of the attention.
    mlp_width: channels between the layers of a block's MLP.
    patch_size, image_size: sides in pixels; in_channels: of the image.
    activation: of the MLP, a key of `activations.ACTIVATIONS`.
    gated: the MLP's activation multiplies a second dense layer (SwiGLU).
    norm_eps: added to the variance in every LayerNorm.
    qkv_bias, patch_bias: of these layers.
    embeddings_norm: a norm before the first block, as CLIP has it.
    layer_scale: where the scales of the residual branches start, 0 for none.
    distillation: "token" has DeiT's second token, "head" also its classifier:
      `logits` are then the mean of `logits_class` and `logits_distilled`.
    registers: tokens without a meaning of their own, as DINOv2 has them.
    positions: which tokens have one: "all", or of the tokens before the
      patches the "class" token alone, or none of those ("patches").
    pooling: how tokens become `features`: "cls" the first, "mean" that of the
      patches, "cls_mean" both side by side, "cls_pooler" a dense layer and a
      tanh on the first (what ViT was pretrained with).
    norm: where the last one stands: before the pooling ("tokens"), after it
      ("pooled"), or nowhere.
    projection: width that features are projected to, 0 to leave them; CLIP's
      image embedding.
    dropout, attention_dropout: rates, after positions and each dense layer of
      a block, and of the attention's weights.
    drop_path: chance that an image skips the last block's branches; it rises
      from 0 at the first block.
    recipe: whose pretraining, where that says how images were prepared and
      files do not; computes nothing.

  Raises:
    UserError: for a value that no vision transformer can have.
  """

  fixed_size: ClassVar[bool] = True  # positions are those of one image_size

  width: int = 768
  depth: int = 12
  heads: int = 12
  mlp_width: int = 3072
  patch_size: int = 16
  image_size: int = 224
  in_channels: int = 3
  activation: str = "gelu"
  gated: bool = False
  norm_eps: float = 1e-6
  qkv_bias: bool = True
  patch_bias: bool = True
  embeddings_norm: bool = False
  layer_scale: float = 0.0
  distillation: Literal["none", "token", "head"] = "none"
  registers: int = 0
  positions: Literal["all", "class", "patches"] = "all"
  pooling: Literal["cls", "mean", "cls_mean", "cls_pooler"] = "cls"
  norm: Literal["tokens", "pooled", "none"] = "tokens"
  projection: int = 0
  dropout: float = 0.0
  attention_dropout: float = 0.0
  drop_path: float = 0.0
  recipe: str = ""

  def __post_init__(self):
    for field in dataclasses.fields(self):
      _check(field.name, type(field.default), getattr(self, field.name))
    if self.width % self.heads:
      raise UserError(
        f"ViT width {self.width} must be a multiple of heads {self.heads}."
      )
    if self.image_size % self.patch_size:
      near = max(1, round(self.image_size / self.patch_size))
      raise UserError(
        f"ViT image_size {self.image_size} must be a multiple of patch_size"
        f" {self.patch_size}, such as {near * self.patch_size}."
      )
    if self.distillation == "head" and self.pooling != "cls":
      raise UserError(
        "ViT distillation='head' reads two tokens, so pooling must be 'cls',"
        f" got {self.pooling!r}; or set distillation='token'."
      )

  @property
  def prefix_tokens(self) -> int:
    """Tokens before those of the patches."""
    return 1 + (self.distillation != "none") + self.registers

  @property
  def prefix_positions(self) -> int:
    """Positions before those of the patches."""
    known = {"all": self.prefix_tokens, "class": 1, "patches": 0}
    return known[self.positions]

  @property
  def patches(self) -> int:
    """Patches of an image."""
    return (self.image_size // self.patch_size) ** 2


def _check(field: str, kind: type, value: Any) -> None:
  shown = reprlib.repr(value)
  if field in CHOICES:
    if not isinstance(value, str) or value not in CHOICES[field]:
      known = CHOICES[field]
      hint = did_you_mean(value, known) if isinstance(value, str) else ""
      raise UserError(
        f"ViT {field} must be one of {', '.join(map(repr, known))}, got"
        f" {shown}.{hint}"
      )
  elif kind is bool:
    if type(value) is not bool:
      raise UserError(f"ViT {field} must be True or False, got {shown}.")
  elif kind is int:
    least, most = int(field not in _MAY_BE_ZERO), _MAX.get(field, 2**24)
    if type(value) is not int or not least <= value <= most:
      raise UserError(
        f"ViT {field} must be an integer from {least} to {most}, got {shown}."
      )
  else:
    below = 1 if field.endswith(("dropout", "drop_path")) else 1000
    if type(value) not in (int, float) or not 0 <= value < below:
      raise UserError(f"ViT {field} must be in [0, {below}), got {shown}.")
