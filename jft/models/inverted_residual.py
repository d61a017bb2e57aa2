"""Inverted residual blocks, of which MobileNetV2 and EfficientNet are made.

Narrow in, wide inside, narrow out: a 1x1 convolution expands, a depthwise one
mixes in space, and a 1x1 one projects back without an activation.
"""

import dataclasses
import types
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from jft.errors import UserError
from jft.models.norm import BatchNorm
from jft.typing import Array, Callable, Float, Mapping

Padding = Literal["symmetric", "same"]

PADDINGS = ("symmetric", "same")

ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = types.MappingProxyType(
  {"relu6": nn.relu6, "silu": nn.silu}
)


def rounded(channels: float, least: int = 8) -> int:
  """Returns the nearest multiple of 8, never more than 10% below.

  Source: make_divisible of tensorflow/models, slim/nets/mobilenet.

  >>> rounded(32 * 1.1), rounded(24 * 1.4), rounded(16 * 0.35)
  (32, 32, 8)
  """
  found = max(least, int(channels + 4) // 8 * 8)
  return found + 8 if found < 0.9 * channels else found


class Plan(NamedTuple):
  """What one block of a network is.

  Attributes:
    features: channels out.
    size: of the depthwise window; stride: of it.
    expand: channels inside, as a multiple of those in; 1 leaves the first
      convolution out.
    squeeze: channels of the squeeze-and-excitation, 0 for none.
    drop_path: rate at which an image skips the block while training.
  """

  features: int
  size: int
  stride: int
  expand: int
  squeeze: int = 0
  drop_path: float = 0.0


@dataclasses.dataclass(frozen=True)
class Layers:
  """Makes the layers of one network, all of one kind.

  Attributes:
    activation: a key of `ACTIVATIONS`.
    padding: "symmetric" as in PyTorch, "same" as in TensorFlow; the two part
      where the stride is 2.
    epsilon, momentum: of BatchNorm; the momentum is the share that is kept.
    train: normalise by the batch, drop paths.
    axis_name: of the mapped devices, for statistics of the global batch.
    dtypes: `dtype` and `param_dtype`.
  """

  activation: str
  padding: Padding
  epsilon: float
  momentum: float
  train: bool
  axis_name: str | None
  dtypes: Mapping[str, Any]

  def conv(
    self, features: int, size: int, stride: int = 1, **options: Any
  ) -> nn.Conv:
    """Returns a convolution without a bias, padded as the network pads."""
    padding: Any = "SAME" if self.padding == "same" else size // 2
    options = {"use_bias": False, "kernel_init": _conv_init} | options
    return nn.Conv(
      features,
      (size, size),
      stride,
      padding=padding,
      **options,
      **self.dtypes,
    )

  def norm(self, name: str) -> Callable[[Array], Array]:
    """Returns a BatchNorm that is told whether this is training."""
    return BatchNorm(
      use_running_average=not self.train,
      axis_name=self.axis_name,
      epsilon=self.epsilon,
      momentum=self.momentum,
      name=name,
      **self.dtypes,
    )

  def act(self, x: Array) -> Array:
    """Returns the activations."""
    return ACTIVATIONS[self.activation](x)


class ConvNorm(nn.Module):
  """A convolution, its norm and, unless told otherwise, an activation."""

  features: int
  size: int
  layers: Layers
  stride: int = 1
  depthwise: bool = False
  activate: bool = True

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    options: dict[str, Any] = {"name": "conv"}
    if self.depthwise:
      options |= {
        "feature_group_count": x.shape[-1],
        "kernel_init": _depthwise_init,
      }
    x = self.layers.conv(self.features, self.size, self.stride, **options)(x)
    x = self.layers.norm("norm")(x)
    return self.layers.act(x) if self.activate else x


class SqueezeExcite(nn.Module):
  """Scales each channel by what the means of all channels say.

  Source: Hu et al., arXiv:1709.01507.
  """

  width: int
  layers: Layers

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    conv = self.layers.conv
    y = jnp.mean(x, axis=(1, 2), keepdims=True)
    y = self.layers.act(conv(self.width, 1, use_bias=True, name="reduce")(y))
    y = conv(x.shape[-1], 1, use_bias=True, name="expand")(y)
    return x * nn.sigmoid(y)


class InvertedResidual(nn.Module):
  """Expand, mix in space, squeeze and excite, project, and add the input.

  The input is added where neither the stride nor the channels change it.

  Source: Sandler et al., arXiv:1801.04381; Tan and Le, arXiv:1905.11946.
  """

  plan: Plan
  layers: Layers

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    plan, layers = self.plan, self.layers
    inside, y = x.shape[-1] * plan.expand, x
    if plan.expand > 1:
      y = ConvNorm(inside, 1, layers, name="expand")(y)
    y = ConvNorm(
      inside, plan.size, layers, plan.stride, depthwise=True, name="depthwise"
    )(y)
    if plan.squeeze:
      y = SqueezeExcite(plan.squeeze, layers, name="squeeze")(y)
    y = ConvNorm(plan.features, 1, layers, activate=False, name="project")(y)
    if plan.stride > 1 or y.shape[-1] != x.shape[-1]:
      return y
    # Dropping all of an image's values at once is stochastic depth.
    drop = nn.Dropout(plan.drop_path, broadcast_dims=(1, 2, 3))
    return x + drop(y, deterministic=not layers.train)


def check(family: str, config: Any, stages: int) -> None:
  """Checks the fields that the configs of both families have.

  Args:
    family: for the messages.
    config: with `width`, `stage_sizes`, `padding`, `norm_eps`,
      `norm_momentum`, `dropout`, `drop_path`, `image_size` and `in_channels`.
    stages: how many the family has.

  Raises:
    UserError: for a value that no such network can have.
  """
  sizes = config.stage_sizes
  if len(sizes) != stages or min(sizes) < 1:
    raise UserError(
      f"{family} stage_sizes must hold one positive number of blocks for each"
      f" of {stages} stages, got {sizes!r}."
    )
  if config.padding not in PADDINGS:
    raise UserError(
      f"{family} padding must be one of {', '.join(PADDINGS)}, got"
      f" {config.padding!r}."
    )
  for field in ("norm_momentum", "dropout", "drop_path"):
    if not 0 <= (value := getattr(config, field)) < 1:
      raise UserError(f"{family} {field} must be in [0, 1), got {value!r}.")
  for field in ("width", "norm_eps", "image_size", "in_channels"):
    if not 0 < (value := getattr(config, field)) < 2**16:
      raise UserError(
        f"{family} {field} must be positive and below {2**16}, got {value!r}."
      )


# He's, by what a convolution puts out; a depthwise kernel feeds one channel.
_conv_init = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
_depthwise_init = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
