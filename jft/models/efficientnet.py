"""EfficientNet B0 to B7 and Lite0 to Lite4: one net, scaled in two ways.

Models trained in PyTorch pad evenly on both sides, those of TensorFlow ("tf_",
Keras, lukemelas) as its "SAME" does: weights of one kind in a net of the other
still load, and predict worse.
"""

import dataclasses
import math
import types
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jft.errors import UserError
from jft.models.head import Head
from jft.models.inverted_net import InvertedNet, Outline
from jft.models.inverted_residual import Padding, Plan, check, rounded
from jft.typing import Mapping

# Of every stage: expansion, window, stride, channels; and B0's blocks.
_STAGES = (
  (1, 3, 1, 16),
  (6, 3, 2, 24),
  (6, 5, 2, 40),
  (6, 3, 2, 80),
  (6, 5, 1, 112),
  (6, 5, 2, 192),
  (6, 3, 1, 320),
)
_BLOCKS = (1, 2, 2, 3, 3, 4, 1)
_STEM, _TOP = 32, 1280


@dataclasses.dataclass(frozen=True)
class Config:
  """What makes one EfficientNet differ from another; the defaults are B0.

  Attributes:
    width: factor of the channels.
    stage_sizes: blocks in each of the seven stages.
    lite: relu6 for swish, no squeeze-and-excitation, and the channels of the
      stem and of the top are not scaled.
    padding: "symmetric" as in PyTorch, "same" as in TensorFlow.
    norm_eps: added to the variance in every BatchNorm.
    norm_momentum: the share of the running statistics that a step keeps.
    dropout: rate, of the features before the head.
    drop_path: rate at which an image skips the last block, while training;
      an earlier block is skipped more rarely, the first never.
    image_size: pixels of a side that it was made for; others work too.
    in_channels: of the image.

  Raises:
    UserError: for a value that no EfficientNet can have.
  """

  width: float = 1.0
  stage_sizes: tuple[int, ...] = _BLOCKS
  lite: bool = False
  padding: Padding = "symmetric"
  norm_eps: float = 1e-5
  norm_momentum: float = 0.9
  dropout: float = 0.2
  drop_path: float = 0.2
  image_size: int = 224
  in_channels: int = 3

  def __post_init__(self):
    check("EfficientNet", self, stages=len(_STAGES))
    if type(self.lite) is not bool:
      raise UserError(
        f"EfficientNet lite must be True or False, got {self.lite!r}."
      )


def deepened(depth: float, *, lite: bool = False) -> tuple[int, ...]:
  """Returns the stage sizes that a factor of depth gives.

  Args:
    depth: the factor.
    lite: leave the first and the last stage alone.

  >>> deepened(1.1), deepened(1.1, lite=True)
  ((2, 3, 3, 4, 4, 5, 2), (1, 3, 3, 4, 4, 5, 1))
  """
  sizes = [math.ceil(depth * blocks) for blocks in _BLOCKS]
  if lite:
    sizes[0], sizes[-1] = _BLOCKS[0], _BLOCKS[-1]
  return tuple(sizes)


# Width, depth, pixels and dropout, by Tan and Le's table and Google's code.
_B = (
  (1.0, 1.0, 224, 0.2),
  (1.0, 1.1, 240, 0.2),
  (1.1, 1.2, 260, 0.3),
  (1.2, 1.4, 300, 0.3),
  (1.4, 1.8, 380, 0.4),
  (1.6, 2.2, 456, 0.4),
  (1.8, 2.6, 528, 0.5),
  (2.0, 3.1, 600, 0.5),
)
_LITE = (*_B[:3], (1.2, 1.4, 280, 0.3), (1.4, 1.8, 300, 0.3))


def _presets() -> dict[str, Config]:
  found = {}
  for kind, table in (("b", _B), ("lite", _LITE)):
    lite = kind == "lite"
    for i, (width, depth, size, dropout) in enumerate(table):
      found[f"efficientnet_{kind}{i}"] = Config(
        width,
        deepened(depth, lite=lite),
        lite,
        dropout=dropout,
        image_size=size,
      )
  tensorflow: dict[str, Any] = {"padding": "same", "norm_eps": 1e-3}
  return found | {
    f"tf_{name}": dataclasses.replace(config, **tensorflow)
    for name, config in found.items()
  }


PRESETS: Mapping[str, Config] = types.MappingProxyType(_presets())


def module(
  config: Config,
  num_classes: Head | int | None = None,
  *,
  dtype: Any = jnp.float32,
  param_dtype: Any = jnp.float32,
  remat: bool = False,
) -> InvertedNet:
  """Returns the Linen module of a config.

  Source: Tan and Le, arXiv:1905.11946; tensorflow/tpu, models/official/
  efficientnet and its lite folder.

  Args:
    config: one of `PRESETS`, or your own.
    num_classes: outputs of the head, or its kind; None for no head.
    dtype: of the computation; BatchNorm's statistics stay float32.
    param_dtype: of the parameters.
    remat: compute each block's activations again in the backward pass: less
      memory for about a third more computation.

  >>> module(PRESETS["tf_efficientnet_b0"], num_classes=37).config.padding
  'same'
  """
  ends = (_STEM, _TOP)
  if not config.lite:
    ends = tuple(rounded(config.width * channels) for channels in ends)
  outline = Outline(
    "EfficientNet",
    "relu6" if config.lite else "silu",
    ends[0],
    _plan(config, ends[0]),
    ends[1],
    _head_init,
  )
  return InvertedNet(config, outline, num_classes, dtype, param_dtype, remat)


_head_init = nn.initializers.variance_scaling(1 / 3, "fan_out", "uniform")


def _plan(config: Config, inputs: int) -> tuple[Plan, ...]:
  """Returns what every block is; `inputs` are the stem's channels."""
  plan: list[Plan] = []
  sizes = config.stage_sizes
  for stage, blocks in zip(_STAGES, sizes, strict=True):
    expand, size, stride, channels = stage
    features = rounded(config.width * channels)
    for i in range(blocks):
      squeeze = 0 if config.lite else max(1, inputs // 4)
      rate = config.drop_path * len(plan) / sum(sizes)
      plan.append(
        Plan(features, size, 1 if i else stride, expand, squeeze, rate)
      )
      inputs = features
  return tuple(plan)
