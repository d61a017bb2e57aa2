"""What ResNets are made of: torchvision's, timm's, Keras' and transformers'."""

import dataclasses
import types
from typing import Any, Literal

from jft.errors import UserError
from jft.typing import Mapping

EXPANSION: Mapping[str, int] = types.MappingProxyType(
  {"basic": 1, "bottleneck": 4}
)
"""Channels of a block's output for each channel of its stage's width."""

_KNOWN = types.MappingProxyType(
  {
    "block": tuple(EXPANSION),
    "stem": ("imagenet", "deep", "small"),
    "shortcut": ("conv", "avg_pool"),
    "strided": ("1x1", "3x3"),
  }
)


@dataclasses.dataclass(frozen=True)
class Config:
  """What makes one ResNet differ from another.

  Attributes:
    stage_sizes: blocks in each stage; every stage after the first halves the
      map and doubles the width.
    block: two 3x3 convolutions, or 1x1, 3x3, 1x1 to four times the width.
    width: channels of the stem and of the first stage.
    stem: "imagenet" is 7x7/2 and a 3x3/2 max pool; "deep" has three 3x3 before
      that pool, the first two of half the width; "small" is 3x3/1 alone, for
      images of some 32 pixels.
    in_channels: channels of the image.
    groups: of a bottleneck's 3x3 convolution; ResNeXt's cardinality.
    group_width: channels of each group for every 64 of the stage's width.
    shortcut: how a strided one shrinks its map: a convolution that skips
      pixels, or one behind a 2x2 mean.
    strided: which convolution of a bottleneck has the stride: v1.5 the 3x3,
      v1 the first 1x1.
    conv_bias: whether convolutions have a bias before their norm.
    norm_eps: added to every norm's variance.
    norm_momentum: share of a running statistic that one step keeps.

  Raises:
    UserError: for a value that no ResNet can have.
  """

  stage_sizes: tuple[int, ...]
  block: Literal["basic", "bottleneck"] = "basic"
  width: int = 64
  stem: Literal["imagenet", "deep", "small"] = "imagenet"
  in_channels: int = 3
  groups: int = 1
  group_width: int = 64
  shortcut: Literal["conv", "avg_pool"] = "conv"
  strided: Literal["1x1", "3x3"] = "3x3"
  conv_bias: bool = False
  norm_eps: float = 1e-5
  norm_momentum: float = 0.9

  def __post_init__(self):
    for field, known in _KNOWN.items():
      if (value := getattr(self, field)) not in known:
        raise UserError(
          f"ResNet {field} must be one of {sorted(known)}, got {value!r}."
        )
    if not self.stage_sizes or min(self.stage_sizes) < 1:
      raise UserError(
        "ResNet stage_sizes must hold one positive number of blocks a stage,"
        f" got {self.stage_sizes!r}."
      )
    for field in ("width", "in_channels", "groups", "group_width"):
      if (value := getattr(self, field)) < 1:
        raise UserError(f"ResNet {field} must be positive, got {value}.")
    if not (0 < self.norm_eps < 1 and 0 <= self.norm_momentum < 1):
      raise UserError(
        "ResNet norm_eps must be in (0, 1) and norm_momentum in [0, 1), got"
        f" {self.norm_eps} and {self.norm_momentum}."
      )
    self._check_groups()

  def _check_groups(self) -> None:
    if self.block == "basic" and (self.groups, self.group_width) != (1, 64):
      raise UserError(
        "a ResNet of basic blocks has groups=1 and group_width=64, got"
        f" {self.groups} and {self.group_width}; use bottlenecks."
      )
    if self.width * self.group_width % 64:
      raise UserError(
        "ResNet width * group_width must be a multiple of 64, got"
        f" {self.width} * {self.group_width}."
      )

  def inner_width(self, stage: int) -> int:
    """Returns the channels between a block's convolutions.

    Args:
      stage: counted from 0.

    >>> PRESETS["resnext50_32x4d"].inner_width(0)
    128
    """
    return self.width * 2**stage * self.group_width // 64 * self.groups

  def has_projection(self, stage: int, block: int) -> bool:
    """Whether a block's shortcut is a convolution: where channels change."""
    return block == 0 and (stage > 0 or self.block == "bottleneck")

  @classmethod
  def from_hf(cls, config: Mapping[str, Any]) -> "Config":
    """Returns the config that a `config.json` of transformers describes.

    Args:
      config: the parsed file; what it leaves out is as in ResNet-50.

    Raises:
      UserError: naming the key that asks for something jft's ResNet is not.

    Source: transformers.ResNetConfig.

    >>> Config.from_hf({"depths": [3, 4, 23, 3]}) == PRESETS["resnet101"]
    True
    """
    block = config.get("layer_type", "bottleneck")
    width = config.get("embedding_size", 64)
    sizes = tuple(config.get("depths", (3, 4, 6, 3)))
    stages = [EXPANSION.get(block, 1) * width * 2**i for i in range(len(sizes))]
    for key, usual, want in (
      ("hidden_sizes", [256, 512, 1024, 2048], stages),
      ("hidden_act", "relu", "relu"),
      ("downsample_in_first_stage", False, False),
    ):
      if (value := config.get(key, usual)) != want:
        raise UserError(
          f"config.json: {key} is {value!r}, jft's ResNet with"
          f" embedding_size={width} and layer_type={block!r} only has {want!r}."
        )
    return cls(
      sizes,
      block,
      width,
      in_channels=config.get("num_channels", 3),
      strided="1x1" if config.get("downsample_in_bottleneck") else "3x3",
    )


def to_hf(config: Config, headed: bool, model_type: str = "") -> dict[str, Any]:
  """Returns the settings that `Config.from_hf` reads this config from.

  Args:
    config: what transformers has no word for is left out.
    headed: whether there is a classifier.
    model_type: not needed, there is one.

  >>> config = PRESETS["resnet50"]
  >>> Config.from_hf(to_hf(config, True)) == config
  True
  """
  del model_type
  wide = EXPANSION[config.block] * config.width
  stages = len(config.stage_sizes)
  return {
    "model_type": "resnet",
    "architectures": [
      "ResNetForImageClassification" if headed else "ResNetModel"
    ],
    "depths": list(config.stage_sizes),
    "layer_type": config.block,
    "embedding_size": config.width,
    "hidden_sizes": [wide * 2**stage for stage in range(stages)],
    "hidden_act": "relu",
    "downsample_in_first_stage": False,
    "downsample_in_bottleneck": config.strided == "1x1",
    "num_channels": config.in_channels,
  }


def _deep(*stage_sizes: int, block: Any = "bottleneck") -> Config:
  """A ResNet-D: arXiv:1812.01187."""
  return Config(stage_sizes, block, stem="deep", shortcut="avg_pool")


def _bottleneck(*stage_sizes: int, **fields: Any) -> Config:
  return Config(stage_sizes, "bottleneck", **fields)


# Zagoruyko & Komodakis, arXiv:1605.07146; Xie et al., arXiv:1611.05431.
PRESETS: Mapping[str, Config] = types.MappingProxyType(
  {
    "resnet14_small": Config((2, 2, 2), width=16, stem="small", in_channels=1),
    "resnet18": Config((2, 2, 2, 2)),
    "resnet34": Config((3, 4, 6, 3)),
    "resnet50": _bottleneck(3, 4, 6, 3),
    "resnet101": _bottleneck(3, 4, 23, 3),
    "resnet152": _bottleneck(3, 8, 36, 3),
    "wide_resnet50_2": _bottleneck(3, 4, 6, 3, group_width=128),
    "wide_resnet101_2": _bottleneck(3, 4, 23, 3, group_width=128),
    "resnext50_32x4d": _bottleneck(3, 4, 6, 3, groups=32, group_width=4),
    "resnext101_32x8d": _bottleneck(3, 4, 23, 3, groups=32, group_width=8),
    "resnext101_64x4d": _bottleneck(3, 4, 23, 3, groups=64, group_width=4),
    "resnet18d": _deep(2, 2, 2, 2, block="basic"),
    "resnet26d": _deep(2, 2, 2, 2),
    "resnet34d": _deep(3, 4, 6, 3, block="basic"),
    "resnet50d": _deep(3, 4, 6, 3),
    "resnet101d": _deep(3, 4, 23, 3),
    "resnet152d": _deep(3, 8, 36, 3),
  }
)
