"""ResNet, wide ResNet, ResNeXt and ResNet-D, from 14 to 152 layers.

Padding is symmetric, as in PyTorch: TensorFlow's "SAME" differs for every
strided convolution.
"""

import functools
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jft.models.head import Head, make_head
from jft.models.images import check_images
from jft.models.norm import BatchNorm
from jft.models.resnet_config import EXPANSION, PRESETS, Config
from jft.typing import Array, Callable, Float, Outputs

__all__ = ["PRESETS", "Config", "ResNet", "module"]


def module(
  config: Config,
  num_classes: Head | int | None = None,
  *,
  dtype: Any = jnp.float32,
  param_dtype: Any = jnp.float32,
  remat: bool = False,
) -> "ResNet":
  """Returns the Linen module of a config.

  Args:
    config: one of `PRESETS`, or your own.
    num_classes: outputs of the head, or its kind; None for no head.
    dtype: of the computation; BatchNorm's statistics stay float32.
    param_dtype: of the parameters.
    remat: compute each block's activations again in the backward pass: less
      memory for about a third more computation.

  >>> module(PRESETS["resnet18"], num_classes=37).config.stage_sizes
  (2, 2, 2, 2)
  """
  return ResNet(config, num_classes, dtype, param_dtype, remat)


class ResNet(nn.Module):
  """Stem, `block_00`... through all stages, mean pool, `head`.

  Source: He et al., arXiv:1512.03385; torchvision.models.resnet.
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
      train: normalise by the batch and update `batch_stats`.
      axis_name: of the mapped devices, for statistics of the global batch.

    Returns:
      `hidden` [b h w c], the last map; `features` [b d], its mean; and
      `logits` [b k] if there is a head.

    Raises:
      UserError: if the images have another shape or number of channels.
    """
    config = self.config
    check_images("ResNet", inputs.shape, config.in_channels)
    dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
    layers = {
      "conv": functools.partial(
        nn.Conv, use_bias=config.conv_bias, kernel_init=_conv_init, **dtypes
      ),
      "norm": functools.partial(
        BatchNorm,
        momentum=config.norm_momentum,
        epsilon=config.norm_eps,
        axis_name=axis_name,
        **dtypes,
      ),
      "train": train,
    }
    x = _stem(inputs.astype(self.dtype), config, layers)
    make_block = nn.remat(Block) if self.remat else Block
    for i, (stage, block) in enumerate(_plan(config)):
      x = make_block(config, stage, block, **layers, name=f"block_{i:02d}")(x)
    outputs = {"hidden": x, "features": jnp.mean(x, axis=(1, 2))}
    if self.num_classes is not None:
      head = make_head(self.num_classes, kernel_init=_head_init, **dtypes)
      outputs["logits"] = head(outputs["features"], train)
    return outputs


class Block(nn.Module):
  """One residual block: convolutions, and a shortcut around them.

  Attributes:
    config: of the network.
    stage, number: which block, both counted from 0.
    conv: makes a convolution from (features, kernel size, strides).
    norm: makes a norm.
    train: as in `ResNet`.
  """

  config: Config
  stage: int
  number: int
  conv: Callable[..., nn.Module]
  norm: Callable[..., nn.Module]
  train: bool

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    config = self.config
    width = config.width * 2**self.stage
    out = width * EXPANSION[config.block]
    stride = 2 if self.stage > 0 and self.number == 0 else 1
    y = x
    convs = _convs(config, self.stage, stride, out)
    for i, (features, size, step, groups) in enumerate(convs, 1):
      y = self.conv(
        features,
        (size, size),
        step,
        padding=size // 2,
        feature_group_count=groups,
        name=f"conv{i}",
      )(y)
      y = self.norm(name=f"norm{i}")(y, use_running_average=not self.train)
      if i < len(convs):
        y = nn.relu(y)
    if config.has_projection(self.stage, self.number):
      layers = {"conv": self.conv, "norm": self.norm, "train": self.train}
      if config.shortcut == "avg_pool" and stride > 1:
        # "SAME" pads an odd map at its end, and no mean counts the padding.
        x = nn.avg_pool(x, (2, 2), (2, 2), "SAME", count_include_pad=False)
        stride = 1
      x = ConvNorm(out, 1, stride, **layers, name="downsample")(x)
    return nn.relu(x + y)


class ConvNorm(nn.Module):
  """A convolution and its norm: the stem, and a shortcut's projection."""

  features: int
  size: int
  stride: int
  conv: Callable[..., nn.Module]
  norm: Callable[..., nn.Module]
  train: bool

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    window = (self.size, self.size)
    x = self.conv(
      self.features, window, self.stride, padding=self.size // 2, name="conv"
    )(x)
    return self.norm(name="norm")(x, use_running_average=not self.train)


def _stem(
  x: Float[Array, "b h w c"], config: Config, layers: dict[str, Any]
) -> Float[Array, "b h w c"]:
  """Runs what is before the blocks, inside a compact call."""
  width = config.width
  if config.stem == "deep":
    plan = [(width // 2, 3, 2), (width // 2, 3, 1), (width, 3, 1)]
    names = [f"stem_{i}" for i in range(3)]
  else:
    plan = [(width, 3, 1) if config.stem == "small" else (width, 7, 2)]
    names = ["stem"]
  for name, (features, size, stride) in zip(names, plan, strict=True):
    x = nn.relu(ConvNorm(features, size, stride, **layers, name=name)(x))
  if config.stem == "small":
    return x
  padding: Any = ((1, 1), (1, 1))  # Flax infers str from its default.
  return nn.max_pool(x, (3, 3), (2, 2), padding)


def _convs(
  config: Config, stage: int, stride: int, out: int
) -> list[tuple[int, int, int, int]]:
  """Returns (features, size, stride, groups) of a block's convolutions."""
  inner = config.inner_width(stage)
  if config.block == "basic":
    return [(inner, 3, stride, 1), (out, 3, 1, 1)]
  first, second = (stride, 1) if config.strided == "1x1" else (1, stride)
  return [
    (inner, 1, first, 1),
    (inner, 3, second, config.groups),
    (out, 1, 1, 1),
  ]


# As torchvision draws them: kaiming_normal_(mode="fan_out") and nn.Linear.
_conv_init = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
_head_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def _plan(config: Config) -> list[tuple[int, int]]:
  """Returns (stage, block in it) of every block."""
  return [
    (stage, block)
    for stage, blocks in enumerate(config.stage_sizes)
    for block in range(blocks)
  ]
