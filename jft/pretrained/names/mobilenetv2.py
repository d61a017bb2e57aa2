"""MobileNetV2: jft's names to torchvision's, timm's, Keras' and HF's."""

import dataclasses
from typing import Any, Protocol

from jft.pretrained.dialect import Dialect, Shapes
from jft.pretrained.layouts import Entry
from jft.pretrained.names.inverted_residual import (
  TIMM_NAMES,
  Block,
  ConvNorm,
  Naming,
  Pieces,
  table,
  torchvision_pieces,
)
from jft.pretrained.names.keras import spelling
from jft.pretrained.names.torch import TORCH_DROPPED
from jft.pretrained.preprocessing import Preprocessing, centred


class Config(Protocol):
  """The fields read here; `jft.models.mobilenetv2.Config` has them all."""

  @property
  def stage_sizes(self) -> tuple[int, ...]: ...


def _torchvision_pieces(block: Block) -> Pieces:
  at = f"features.{block.number + 1}.conv"
  return torchvision_pieces(at, block, squeeze=False)


def _torchvision_names(config: Config) -> Naming:
  top = f"features.{sum(config.stage_sizes) + 1}"
  return Naming(
    ConvNorm("features.0.0", "features.0.1"),
    ConvNorm(f"{top}.0", f"{top}.1"),
    "classifier.1",
    _torchvision_pieces,
  )


def _keras_pieces(block: Block) -> Pieces:
  at = f"block_{block.number}_" if block.number else "expanded_conv_"
  return Pieces(
    ConvNorm(at + "expand", at + "expand_BN"),
    ConvNorm(at + "depthwise", at + "depthwise_BN"),
    ConvNorm(at + "project", at + "project_BN"),
  )


KERAS_NAMES = Naming(
  ConvNorm("Conv1", "bn_Conv1"),
  ConvNorm("Conv_1", "Conv_1_bn"),
  "predictions",
  _keras_pieces,
)


def _hf_names(root: str) -> Naming:
  def layer(at: str) -> ConvNorm:
    return ConvNorm(f"{root}{at}.convolution", f"{root}{at}.normalization")

  def pieces(block: Block) -> Pieces:
    # The stem holds the first block.
    at = f"layer.{block.number - 1}" if block.number else "conv_stem"
    return Pieces(
      layer(f"{at}.expand_1x1"),
      layer(f"{at}.conv_3x3"),
      layer(f"{at}.reduce_1x1"),
    )

  return Naming(
    layer("conv_stem.first_conv"), layer("conv_1x1"), "classifier", pieces
  )


def _table(naming: Naming, config: Config, **options: Any) -> dict[str, Entry]:
  return table(naming, config.stage_sizes, squeeze=False, **options)


def _as_keras(config: Any) -> Any:
  return dataclasses.replace(
    config, padding="same", norm_eps=1e-3, norm_momentum=0.999
  )


def _as_hf(config: Any) -> Any:
  """A config.json has said it all; a preset of PyTorch's has not."""
  if config.norm_momentum == 0.997:
    return config
  return dataclasses.replace(
    config, padding="same", norm_eps=1e-3, norm_momentum=0.997
  )


def _images(config: Any) -> Preprocessing:
  """Google's: from -1 to 1."""
  return centred(config.image_size, config.in_channels)


def _torchvision_images(config: Any) -> Preprocessing:
  """Of its default weights; the first were cut out of 256 pixels."""
  if config.in_channels != 3:
    return _images(config)
  return Preprocessing(config.image_size, crop_pct=224 / 232)


def _timm_images(config: Any) -> Preprocessing:
  if config.in_channels != 3:
    return _images(config)
  return Preprocessing(config.image_size, resize="bicubic")


TORCHVISION = Dialect(
  "torchvision",
  fits=lambda shapes: "features.1.conv.0.0.weight" in shapes,
  table=lambda config, shapes: _table(_torchvision_names(config), config),
  dropped=lambda config: TORCH_DROPPED,
  head=r"classifier\.1\.(weight|bias)",
  preprocessing=_torchvision_images,
)

TIMM = Dialect(
  "timm",
  fits=lambda shapes: "blocks.6.0.conv_pwl.weight" in shapes,
  table=lambda config, shapes: _table(TIMM_NAMES, config),
  dropped=lambda config: TORCH_DROPPED,
  head=r"classifier\.(weight|bias)",
  preprocessing=_timm_images,
)

_HF_ANCHOR = "conv_stem.first_conv.convolution.weight"


def _hf_table(config: Config, shapes: Shapes) -> dict[str, Entry]:
  """A bare MobileNetV2Model is saved without the prefix of a task's."""
  root = "" if _HF_ANCHOR in shapes else "mobilenet_v2."
  return _table(_hf_names(root), config)


HF = Dialect(
  "hf",
  fits=lambda shapes: any(name.endswith(_HF_ANCHOR) for name in shapes),
  table=_hf_table,
  dropped=lambda config: TORCH_DROPPED,
  head=r"classifier\.(weight|bias)",
  adjust=_as_hf,
  preprocessing=_images,
)

KERAS = Dialect(
  "keras",
  fits=lambda shapes: "expanded_conv_project/kernel" in spelling(shapes).names,
  table=lambda config, shapes: _table(
    KERAS_NAMES, config, source=spelling(shapes)
  ),
  dropped=lambda config: (),
  head=r"(.*/)?predictions/(kernel|bias)(:0)?",
  adjust=_as_keras,
  preprocessing=_images,
)

DIALECTS = (TORCHVISION, TIMM, HF, KERAS)
