"""ConvNeXt, from atto to large: a ResNet with a transformer's habits."""

import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from jft.models.activations import gelu
from jft.models.convnext_config import PRESETS, Config
from jft.models.head import Head, make_head
from jft.models.images import check_images
from jft.models.layer_scale import LayerScale
from jft.typing import Array, Float, Outputs

__all__ = ["PRESETS", "Config", "ConvNeXt", "module"]


def module(
  config: Config,
  num_classes: Head | int | None = None,
  *,
  dtype: Any = jnp.float32,
  param_dtype: Any = jnp.float32,
  remat: bool = False,
) -> "ConvNeXt":
  """Returns the Linen module of a config.

  Args:
    config: one of `PRESETS`, or your own.
    num_classes: outputs of the head, or its kind; None for no head.
    dtype: of the computation; the norms' statistics stay float32.
    param_dtype: of the parameters.
    remat: compute each block's activations again in the backward pass: less
      memory for about a third more computation.

  >>> module(PRESETS["convnext_tiny"], num_classes=37).config.widths
  (96, 192, 384, 768)
  """
  return ConvNeXt(config, num_classes, dtype, param_dtype, remat)


class _Plan(NamedTuple):
  """One block: its channels, whether it halves the map, its drop path."""

  width: int
  downsamples: bool
  drop_path: float


class ConvNeXt(nn.Module):
  """Stem, `block_00`... through all stages, mean pool, `norm`, `head`.

  Source: Liu et al., arXiv:2201.03545; facebookresearch/ConvNeXt.
  """

  config: Config
  num_classes: Head | int | None = None
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32
  remat: bool = False

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
      inputs: normalised images.
      train: drop paths, which needs `rngs={"dropout": key}`.
      axis_name: of the mapped devices; nothing here depends on the batch.

    Returns:
      `hidden` [b h w c], the last map; `features` [b d], its normalised mean;
      and `logits` [b k] if there is a head.

    Raises:
      UserError: if the images have another shape or number of channels.
    """
    del axis_name
    config = self.config
    check_images("ConvNeXt", inputs.shape, config.in_channels)
    layers = Layers(config, train, self.dtype, self.param_dtype)
    x = Stem(layers, name="stem")(inputs.astype(self.dtype))
    make_block = nn.remat(Block) if self.remat else Block
    for i, plan in enumerate(_plan(config)):
      x = make_block(layers, plan, name=f"block_{i:02d}")(x)
    pooled = jnp.mean(x, axis=(1, 2))
    outputs = {
      "hidden": x,
      "features": layers.norm("norm", config.head_norm_eps)(pooled),
    }
    if self.num_classes is not None:
      dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
      head = make_head(self.num_classes, kernel_init=_init, **dtypes)
      outputs["logits"] = head(outputs["features"], train)
    return outputs


@dataclasses.dataclass(frozen=True)
class Layers:
  """Makes the layers of one network, all of one kind."""

  config: Config
  train: bool
  dtype: Any
  param_dtype: Any

  @property
  def _dtypes(self) -> dict[str, Any]:
    return {"dtype": self.dtype, "param_dtype": self.param_dtype}

  def conv(self, width: int, size: int, stride: int, **options: Any) -> nn.Conv:
    """Returns a convolution, without padding unless the options have one."""
    options = {"padding": 0, "kernel_init": _init} | options
    return nn.Conv(width, (size, size), stride, **options, **self._dtypes)

  def dense(self, width: int, name: str) -> nn.Dense:
    """Returns a dense layer over the channels."""
    return nn.Dense(width, kernel_init=_init, name=name, **self._dtypes)

  def norm(self, name: str, epsilon: float | None = None) -> nn.LayerNorm:
    """Returns a LayerNorm over the channels."""
    epsilon = self.config.norm_eps if epsilon is None else epsilon
    # The fast variance, E[x²] - E[x]², loses digits.
    return nn.LayerNorm(
      epsilon, use_fast_variance=False, name=name, **self._dtypes
    )

  def scale(self, name: str) -> LayerScale:
    """Returns the scale of a residual branch."""
    return LayerScale(self.config.layer_scale, name=name, **self._dtypes)


class Stem(nn.Module):
  """A quarter of the image's height and width, normalised."""

  layers: Layers

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    config, conv = self.layers.config, self.layers.conv
    width = config.widths[0]
    if config.stem == "patch":
      x = conv(width, 4, 4, name="conv")(x)
    else:
      # timm rounds the half to a multiple of 8, and not far below.
      half = max(8, (width // 2 + 4) // 8 * 8)
      half += 8 if half < 0.9 * (width // 2) else 0
      inner = half if config.stem == "overlap_tiered" else width
      x = conv(inner, 3, 2, padding=1, name="conv")(x)
      x = conv(width, 3, 2, padding=1, name="conv2")(x)
    return self.layers.norm("norm")(x)


class Block(nn.Module):
  """A depthwise 7x7, a norm and two dense layers, added to what came in.

  The first block of a stage but the first stage's halves the map before.
  """

  layers: Layers
  plan: _Plan

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    layers, (width, downsamples, drop_path) = self.layers, self.plan
    if downsamples:
      x = Downsample(layers, width, name="downsample")(x)
    y = layers.conv(
      width, 7, 1, padding=3, feature_group_count=width, name="depthwise"
    )(x)
    y = layers.norm("norm")(y)
    y = layers.dense(width, "down")(gelu(layers.dense(4 * width, "up")(y)))
    y = layers.scale("layer_scale")(y)
    # Dropping all of an image's values at once is stochastic depth.
    drop = nn.Dropout(drop_path, broadcast_dims=(1, 2, 3))
    return x + drop(y, deterministic=not layers.train)


class Downsample(nn.Module):
  """A norm, and a convolution of 2x2 squares."""

  layers: Layers
  width: int

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    x = self.layers.norm("norm")(x)
    return self.layers.conv(self.width, 2, 2, name="conv")(x)


_init = nn.initializers.truncated_normal(0.02)


def _plan(config: Config) -> list[_Plan]:
  """Returns what every block is."""
  last = sum(config.stage_sizes) - 1
  plan: list[_Plan] = []
  for stage, blocks in enumerate(config.stage_sizes):
    for i in range(blocks):
      rate = config.drop_path * len(plan) / max(last, 1)
      plan.append(_Plan(config.widths[stage], stage > 0 and i == 0, rate))
  return plan
