"""ResNet as torchvision has it (v1.5), from 14 to 152 layers.

"v1.5" puts the stride of a bottleneck into its 3x3 convolution, not into the
first 1x1. Padding is symmetric, as in PyTorch: TensorFlow's "SAME" differs for
every strided convolution.
"""

import dataclasses
import functools
import types
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp

from jft.errors import UserError
from jft.models.head import Head, make_head
from jft.models.norm import BatchNorm
from jft.typing import Array, Callable, Float, Mapping, Outputs


@dataclasses.dataclass(frozen=True)
class Config:
  """What makes one ResNet differ from another.

  Attributes:
    stage_sizes: blocks in each stage; every stage after the first halves the
      map and doubles the width.
    block: two 3x3 convolutions, or 1x1, 3x3, 1x1 to four times the width.
    width: channels of the stem and of the first stage.
    stem: "imagenet" is 7x7/2 and a 3x3/2 max pool; "small" is 3x3/1 alone, for
      images of some 32 pixels.
    in_channels: channels of the image.

  Raises:
    UserError: for a value that no ResNet can have.
  """

  stage_sizes: tuple[int, ...]
  block: Literal["basic", "bottleneck"] = "basic"
  width: int = 64
  stem: Literal["imagenet", "small"] = "imagenet"
  in_channels: int = 3

  def __post_init__(self):
    for field, known in (("block", _EXPANSION), ("stem", _STEM_SIZES)):
      if (value := getattr(self, field)) not in known:
        raise UserError(
          f"ResNet {field} must be one of {sorted(known)}, got {value!r}."
        )
    if not self.stage_sizes or min(self.stage_sizes) < 1:
      raise UserError(
        "ResNet stage_sizes must hold one positive number of blocks a stage,"
        f" got {self.stage_sizes!r}."
      )
    if min(self.width, self.in_channels) < 1:
      raise UserError(
        "ResNet width and in_channels must be positive, got"
        f" {self.width} and {self.in_channels}."
      )


_EXPANSION = types.MappingProxyType({"basic": 1, "bottleneck": 4})
_STEM_SIZES = types.MappingProxyType({"imagenet": 7, "small": 3})

PRESETS: Mapping[str, Config] = types.MappingProxyType(
  {
    "resnet14_small": Config((2, 2, 2), width=16, stem="small", in_channels=1),
    "resnet18": Config((2, 2, 2, 2)),
    "resnet34": Config((3, 4, 6, 3)),
    "resnet50": Config((3, 4, 6, 3), "bottleneck"),
    "resnet101": Config((3, 4, 23, 3), "bottleneck"),
    "resnet152": Config((3, 8, 36, 3), "bottleneck"),
  }
)


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
    _check_images(inputs.shape, self.config)
    dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
    layers = {
      "conv": functools.partial(
        nn.Conv, use_bias=False, kernel_init=_conv_init, **dtypes
      ),
      "norm": functools.partial(BatchNorm, axis_name=axis_name, **dtypes),
      "train": train,
    }
    size = _STEM_SIZES[self.config.stem]
    stride = 2 if self.config.stem == "imagenet" else 1
    x = inputs.astype(self.dtype)
    x = ConvNorm(self.config.width, size, stride, **layers, name="stem")(x)
    x = nn.relu(x)
    if self.config.stem == "imagenet":
      padding: Any = ((1, 1), (1, 1))  # Flax infers str from its default.
      x = nn.max_pool(x, (3, 3), (2, 2), padding)
    make_block = nn.remat(Block) if self.remat else Block
    for i, (width, stride) in enumerate(_plan(self.config)):
      block = make_block(
        self.config.block, width, stride, **layers, name=f"block_{i:02d}"
      )
      x = block(x)
    outputs = {"hidden": x, "features": jnp.mean(x, axis=(1, 2))}
    if self.num_classes is not None:
      head = make_head(self.num_classes, kernel_init=_head_init, **dtypes)
      outputs["logits"] = head(outputs["features"], train)
    return outputs


class Block(nn.Module):
  """One residual block: convolutions, and a shortcut around them.

  Attributes:
    block: "basic" or "bottleneck".
    width: channels of the 3x3 convolutions.
    stride: of the block; in its first 3x3 convolution.
    conv: makes a convolution from (features, kernel size, strides).
    norm: makes a norm.
    train: as in `ResNet`.
  """

  block: str
  width: int
  stride: int
  conv: Callable[..., nn.Module]
  norm: Callable[..., nn.Module]
  train: bool

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    out = self.width * _EXPANSION[self.block]
    if self.block == "basic":
      convs = [(self.width, 3, self.stride), (out, 3, 1)]
    else:
      convs = [(self.width, 1, 1), (self.width, 3, self.stride), (out, 1, 1)]
    y = x
    for i, (features, size, stride) in enumerate(convs, 1):
      y = self.conv(
        features, (size, size), stride, padding=size // 2, name=f"conv{i}"
      )(y)
      y = self.norm(name=f"norm{i}")(y, use_running_average=not self.train)
      if i < len(convs):
        y = nn.relu(y)
    if self.stride != 1 or x.shape[-1] != out:
      layers = {"conv": self.conv, "norm": self.norm, "train": self.train}
      x = ConvNorm(out, 1, self.stride, **layers, name="downsample")(x)
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


# As torchvision draws them: kaiming_normal_(mode="fan_out") and nn.Linear.
_conv_init = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
_head_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def _plan(config: Config) -> list[tuple[int, int]]:
  """Returns (width, stride) of every block."""
  plan = []
  for stage, blocks in enumerate(config.stage_sizes):
    width = config.width * 2**stage
    plan.append((width, 1 if stage == 0 else 2))
    plan += [(width, 1)] * (blocks - 1)
  return plan


def _check_images(shape: tuple[int, ...], config: Config) -> None:
  if len(shape) != 4 or shape[-1] != config.in_channels:
    raise UserError(
      f"ResNet expects images of shape [b h w {config.in_channels}], got"
      f" {list(shape)}; change the images or the config's in_channels."
    )
