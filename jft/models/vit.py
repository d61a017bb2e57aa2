"""Vision transformers: ViT, DeiT, DINOv2 and the image tower of CLIP."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jft.errors import UserError
from jft.models.head import Head
from jft.models.vit_config import Config
from jft.models.vit_layers import Block, Layers, Tokens
from jft.models.vit_presets import PRESETS
from jft.typing import Array, Float, Outputs

__all__ = ["PRESETS", "Config", "ViT", "module"]


def module(
  config: Config,
  num_classes: Head | int | None = None,
  *,
  dtype: Any = jnp.float32,
  param_dtype: Any = jnp.float32,
  remat: bool = False,
  attention: str = "xla",
) -> "ViT":
  """Returns the Linen module of a config.

  Args:
    config: one of `PRESETS`, or your own.
    num_classes: outputs of the head, or its kind; None for no head.
    dtype: of the computation; softmax and LayerNorm's statistics stay float32.
    param_dtype: of the parameters.
    remat: compute each block's activations again in the backward pass: less
      memory for about a third more computation.
    attention: who computes it: "xla", "cudnn", "flash" or "auto", see
      `jft.models.attention.attend`.

  >>> module(PRESETS["vit_tiny_patch16_224"], num_classes=37).config.width
  192
  """
  return ViT(config, num_classes, dtype, param_dtype, remat, attention)


class ViT(nn.Module):
  """Embeddings, `block_00`..., `norm`, then `head`.

  Source: Dosovitskiy et al., arXiv:2010.11929; Touvron et al.,
  arXiv:2012.12877; Oquab et al., arXiv:2304.07193; Radford et al.,
  arXiv:2103.00020; timm.models.vision_transformer and timm.models.deit.
  """

  config: Config
  num_classes: Head | int | None = None
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32
  remat: bool = False
  attention: str = "xla"

  @nn.compact
  def __call__(
    self,
    inputs: Float[Array, "b h w c"],
    *,
    train: bool = False,
    axis_name: str | None = None,
  ) -> Outputs:
    """Runs the network.

    Args:
      inputs: normalised images of the config's size.
      train: drop out, which needs `rngs={"dropout": key}` where a rate of the
        config is not 0.
      axis_name: not used: no statistics span the batch.

    Returns:
      `hidden` [b n d], all tokens, normalised unless the config's `norm` says
      otherwise; `features` [b d], pooled from them; and `logits` [b k] if
      there is a head. With a distillation head, the mean of `logits_class`
      and `logits_distilled`, which are there too.

    Raises:
      UserError: if the images have another shape.
    """
    config = self.config
    _check_images(inputs.shape, config)
    layers = Layers(config, self.dtype, self.param_dtype, train, self.attention)
    x = Embeddings(layers, name="embeddings")(inputs.astype(self.dtype))
    make_block = nn.remat(Block) if self.remat else Block
    for i in range(config.depth):
      x = make_block(layers, _drop_path(config, i), name=f"block_{i:02d}")(x)
    if config.norm == "tokens":
      x = layers.norm("norm")(x)
    outputs = {"hidden": x, "features": _features(x, layers)}
    if self.num_classes is None:
      return outputs
    if config.distillation == "head":
      head = DistilledHead(self.num_classes, layers, name="head")
      return outputs | head(x[:, 0], x[:, 1])
    head = layers.head(self.num_classes, "head")
    return outputs | {"logits": head(outputs["features"], train)}


class Embeddings(nn.Module):
  """Patches behind the tokens that stand for the whole image, and positions."""

  layers: Layers

  @nn.compact
  def __call__(self, images: Float[Array, "b h w c"]) -> Float[Array, "b n d"]:
    layers, config = self.layers, self.layers.config
    size = (config.patch_size, config.patch_size)
    patch = nn.Conv(
      config.width,
      size,
      size,
      padding="VALID",
      use_bias=config.patch_bias,
      name="patch",
      **layers.dtypes,
    )
    b = images.shape[0]
    x = patch(images).reshape(b, config.patches, config.width)
    tokens = [Tokens(1, layers, 1e-6, name="class_token")()]
    if config.distillation != "none":
      tokens.append(Tokens(1, layers, name="distillation_token")())
    if config.registers:
      registers = Tokens(config.registers, layers, 1e-6, name="registers")
      tokens.append(registers())
    rows = config.prefix_positions + config.patches
    positions = Tokens(rows, layers, name="position")()
    tokens = jnp.concatenate(tokens, axis=1)
    # Which of the tokens before the patches have a position: the first ones.
    known = config.prefix_positions
    tokens = tokens.at[:, :known].add(positions[:, :known])
    tokens = jnp.broadcast_to(tokens, (b, *tokens.shape[1:]))
    x = jnp.concatenate([tokens, x + positions[:, known:]], axis=1)
    x = layers.dropout(config.dropout)(x)
    return layers.norm("norm")(x) if config.embeddings_norm else x


class DistilledHead(nn.Module):
  """DeiT's two classifiers, of the class and of the distillation token."""

  spec: Head | int
  layers: Layers

  @nn.compact
  def __call__(
    self, by_class: Float[Array, "b d"], distilled: Float[Array, "b d"]
  ) -> Outputs:
    layers = self.layers
    first = layers.head(self.spec, "class")(by_class, layers.train)
    second = layers.head(self.spec, "distilled")(distilled, layers.train)
    mean = (first + second) / 2
    return {
      "logits": mean,
      "logits_class": first,
      "logits_distilled": second,
    }


def _drop_path(config: Config, i: int) -> float:
  return config.drop_path * i / max(1, config.depth - 1)


def _features(x: Float[Array, "b n d"], layers: Layers) -> Float[Array, "b d"]:
  """Pools tokens, inside the network's compact call."""
  config = layers.config
  if config.distillation == "head":
    features = (x[:, 0] + x[:, 1]) / 2
  elif config.pooling in ("cls", "cls_pooler"):
    features = x[:, 0]
  else:
    features = jnp.mean(x[:, config.prefix_tokens :], axis=1)
    if config.pooling == "cls_mean":
      features = jnp.concatenate([x[:, 0], features], axis=-1)
  if config.norm == "pooled":
    features = layers.norm("norm")(features)
  if config.pooling == "cls_pooler":
    features = nn.tanh(layers.dense(config.width, "pooler")(features))
  if config.projection:
    dense = layers.dense(config.projection, "projection", use_bias=False)
    features = dense(features)
  return features


def _check_images(shape: tuple[int, ...], config: Config) -> None:
  want = (config.image_size, config.image_size, config.in_channels)
  if len(shape) != 4 or tuple(shape[1:]) != want:
    raise UserError(
      f"ViT expects images of shape [b {' '.join(map(str, want))}], got"
      f" {list(shape)}; resize the images, or load the network with another"
      " image_size or in_channels."
    )
