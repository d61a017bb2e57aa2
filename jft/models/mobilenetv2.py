"""MobileNetV2 of any width, as PyTorch's projects and TensorFlow's have it."""

import dataclasses
import math
import types
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jft.models.head import Head
from jft.models.inverted_net import InvertedNet, Outline
from jft.models.inverted_residual import Padding, Plan, check, rounded
from jft.typing import Mapping

# Of every stage: expansion, stride, channels; and the blocks.
_STAGES = (
  (1, 1, 16),
  (6, 2, 24),
  (6, 2, 32),
  (6, 2, 64),
  (6, 1, 96),
  (6, 2, 160),
  (6, 1, 320),
)
_BLOCKS = (1, 2, 3, 4, 3, 3, 1)
_STEM, _TOP = 32, 1280


@dataclasses.dataclass(frozen=True)
class Config:
  """What makes one MobileNetV2 differ from another; the defaults are 1.0.

  Attributes:
    width: factor of the channels; those of the top only grow.
    stage_sizes: blocks in each of the seven stages.
    fixed_ends: the channels of the stem and of the top are not scaled.
    padding: "symmetric" as in PyTorch, "same" as in TensorFlow.
    norm_eps: added to the variance in every BatchNorm.
    norm_momentum: the share of the running statistics that a step keeps.
    dropout: rate, of the features before the head.
    drop_path: rate at which an image skips the last block, while training;
      an earlier block is skipped more rarely, the first never.
    image_size: pixels of a side that it was made for; others work too.
    in_channels: of the image.

  Raises:
    UserError: for a value that no MobileNetV2 can have.
  """

  width: float = 1.0
  stage_sizes: tuple[int, ...] = _BLOCKS
  fixed_ends: bool = False
  padding: Padding = "symmetric"
  norm_eps: float = 1e-5
  norm_momentum: float = 0.9
  dropout: float = 0.2
  drop_path: float = 0.0
  image_size: int = 224
  in_channels: int = 3

  def __post_init__(self):
    check("MobileNetV2", self, stages=len(_STAGES))


def _deep(width: float, depth: float) -> Config:
  """timm's "d": more blocks between the first and the last stage."""
  inner = (math.ceil(depth * blocks) for blocks in _BLOCKS[1:-1])
  return Config(width, (_BLOCKS[0], *inner, _BLOCKS[-1]), fixed_ends=True)


PRESETS: Mapping[str, Config] = types.MappingProxyType(
  {
    "mobilenetv2_035": Config(0.35),
    "mobilenetv2_050": Config(0.5),
    "mobilenetv2_075": Config(0.75),
    "mobilenetv2_100": Config(1.0),
    "mobilenetv2_130": Config(1.3),
    "mobilenetv2_140": Config(1.4),
    "mobilenetv2_110d": _deep(1.1, 1.2),
    "mobilenetv2_120d": _deep(1.2, 1.4),
  }
)


def module(
  config: Config,
  num_classes: Head | int | None = None,
  *,
  dtype: Any = jnp.float32,
  param_dtype: Any = jnp.float32,
  remat: bool = False,
) -> InvertedNet:
  """Returns the Linen module of a config.

  Source: Sandler et al., arXiv:1801.04381; torchvision.models.mobilenetv2.

  Args:
    config: one of `PRESETS`, or your own.
    num_classes: outputs of the head, or its kind; None for no head.
    dtype: of the computation; BatchNorm's statistics stay float32.
    param_dtype: of the parameters.
    remat: compute each block's activations again in the backward pass: less
      memory for about a third more computation.

  >>> module(PRESETS["mobilenetv2_140"]).outline.top
  1792
  """
  stem, top = _STEM, _TOP
  if not config.fixed_ends:
    stem = rounded(config.width * _STEM)
    top = max(_TOP, rounded(config.width * _TOP))
  outline = Outline(
    "MobileNetV2", "relu6", stem, _plan(config), top, _head_init
  )
  return InvertedNet(config, outline, num_classes, dtype, param_dtype, remat)


_head_init = nn.initializers.normal(0.01)


def _plan(config: Config) -> tuple[Plan, ...]:
  """Returns what every block is."""
  plan: list[Plan] = []
  sizes = config.stage_sizes
  for (expand, stride, channels), blocks in zip(_STAGES, sizes, strict=True):
    for i in range(blocks):
      rate = config.drop_path * len(plan) / sum(sizes)
      features = rounded(config.width * channels)
      plan.append(Plan(features, 3, 1 if i else stride, expand, drop_path=rate))
  return tuple(plan)
