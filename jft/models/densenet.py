"""DenseNet (the BC kind), from 121 to 201 layers."""

import dataclasses
import functools
import types
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jft.errors import UserError
from jft.models.head import Head, make_head
from jft.models.images import check_images
from jft.models.norm import BatchNorm
from jft.typing import Array, Callable, Float, Mapping, Outputs


@dataclasses.dataclass(frozen=True)
class Config:
  """What makes one DenseNet differ from another.

  Attributes:
    stage_sizes: blocks in each stage; before every stage but the first a
      transition halves the map and the channels.
    growth: channels that each block adds.
    width: channels of the stem.
    bottleneck: a block's 1x1 convolution has so many times `growth` channels.
    dropout: rate, of what a block adds.
    in_channels: channels of the image.
    norm_eps: added to every norm's variance.
    norm_momentum: share of a running statistic that one step keeps.

  Raises:
    UserError: for a value that no DenseNet can have.
  """

  stage_sizes: tuple[int, ...]
  growth: int = 32
  width: int = 64
  bottleneck: int = 4
  dropout: float = 0.0
  in_channels: int = 3
  norm_eps: float = 1e-5
  norm_momentum: float = 0.9

  def __post_init__(self):
    if not self.stage_sizes or min(self.stage_sizes) < 1:
      raise UserError(
        "DenseNet stage_sizes must hold one positive number of blocks a stage,"
        f" got {self.stage_sizes!r}."
      )
    for field in ("growth", "width", "bottleneck", "in_channels"):
      if (value := getattr(self, field)) < 1:
        raise UserError(f"DenseNet {field} must be positive, got {value}.")
    for field in ("dropout", "norm_momentum"):
      if not 0 <= (value := getattr(self, field)) < 1:
        raise UserError(f"DenseNet {field} must be in [0, 1), got {value}.")
    if not 0 < self.norm_eps < 1:
      raise UserError(
        f"DenseNet norm_eps must be in (0, 1), got {self.norm_eps}."
      )


PRESETS: Mapping[str, Config] = types.MappingProxyType(
  {
    "densenet121": Config((6, 12, 24, 16)),
    "densenet161": Config((6, 12, 36, 24), growth=48, width=96),
    "densenet169": Config((6, 12, 32, 32)),
    "densenet201": Config((6, 12, 48, 32)),
  }
)


def module(
  config: Config,
  num_classes: Head | int | None = None,
  *,
  dtype: Any = jnp.float32,
  param_dtype: Any = jnp.float32,
  remat: bool = False,
) -> "DenseNet":
  """Returns the Linen module of a config.

  Args:
    config: one of `PRESETS`, or your own.
    num_classes: outputs of the head, or its kind; None for no head.
    dtype: of the computation; BatchNorm's statistics stay float32.
    param_dtype: of the parameters.
    remat: compute each block's activations again in the backward pass: less
      memory for about a third more computation.

  >>> module(PRESETS["densenet161"], num_classes=37).config.growth
  48
  """
  return DenseNet(config, num_classes, dtype, param_dtype, remat)


class DenseNet(nn.Module):
  """Stem, `block_00`... through all stages, `norm`, mean pool, `head`.

  Source: Huang et al., arXiv:1608.06993; torchvision.models.densenet.
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
      inputs: normalised images of at least 29 pixels a side.
      train: normalise by the batch, update `batch_stats`, drop out.
      axis_name: of the mapped devices, for statistics of the global batch.

    Returns:
      `hidden` [b h w c], the last map; `features` [b d], its mean; and
      `logits` [b k] if there is a head.

    Raises:
      UserError: if the images have another shape or number of channels.
    """
    config = self.config
    check_images("DenseNet", inputs.shape, config.in_channels)
    dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
    conv = functools.partial(
      nn.Conv, use_bias=False, kernel_init=_conv_init, **dtypes
    )
    norm = functools.partial(
      BatchNorm,
      use_running_average=not train,
      momentum=config.norm_momentum,
      epsilon=config.norm_eps,
      axis_name=axis_name,
      **dtypes,
    )
    x = Stem(config.width, conv, norm, name="stem")(inputs.astype(self.dtype))
    make_block = nn.remat(Block) if self.remat else Block
    starts = {
      sum(config.stage_sizes[:i]) for i in range(len(config.stage_sizes))
    }
    for i in range(sum(config.stage_sizes)):
      first = i > 0 and i in starts
      block = make_block(
        config, first, conv, norm, train, name=f"block_{i:02d}"
      )
      x = block(x)
    x = nn.relu(norm(name="norm")(x))
    outputs = {"hidden": x, "features": jnp.mean(x, axis=(1, 2))}
    if self.num_classes is not None:
      head = make_head(self.num_classes, kernel_init=_head_init, **dtypes)
      outputs["logits"] = head(outputs["features"], train)
    return outputs


class Stem(nn.Module):
  """7x7/2 and a 3x3/2 max pool."""

  width: int
  conv: Callable[..., nn.Module]
  norm: Callable[..., nn.Module]

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    x = self.conv(self.width, (7, 7), 2, padding=3, name="conv")(x)
    padding: Any = ((1, 1), (1, 1))  # Flax infers str from its default.
    x = nn.relu(self.norm(name="norm")(x))
    return nn.max_pool(x, (3, 3), (2, 2), padding)


class Block(nn.Module):
  """Adds `growth` channels to its input; the first of a stage halves it before.

  Attributes:
    config: of the network.
    first: of a stage that a transition leads to.
    conv, norm: make a convolution and a norm.
    train: as in `DenseNet`.
  """

  config: Config
  first: bool
  conv: Callable[..., nn.Module]
  norm: Callable[..., nn.Module]
  train: bool

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    config = self.config
    if self.first:
      x = Transition(self.conv, self.norm, name="transition")(x)
    y = nn.relu(self.norm(name="norm1")(x))
    y = self.conv(config.bottleneck * config.growth, (1, 1), name="conv1")(y)
    y = nn.relu(self.norm(name="norm2")(y))
    y = self.conv(config.growth, (3, 3), padding=1, name="conv2")(y)
    y = nn.Dropout(config.dropout, deterministic=not self.train)(y)
    return jnp.concatenate([x, y], axis=-1)


class Transition(nn.Module):
  """Halves the channels, then each side of the map."""

  conv: Callable[..., nn.Module]
  norm: Callable[..., nn.Module]

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    width = x.shape[-1] // 2
    x = self.conv(width, (1, 1), name="conv")(
      nn.relu(self.norm(name="norm")(x))
    )
    return nn.avg_pool(x, (2, 2), (2, 2))


# As torchvision draws them: kaiming_normal_ and nn.Linear.
_conv_init = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
_head_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
