"""EfficientNet: jft's names to those of five projects."""

import dataclasses
from typing import Any, Protocol

from jft.pretrained.dialect import Dialect, Shapes
from jft.pretrained.layouts import Entry
from jft.pretrained.names.efficientnet_images import (
  google_images,
  lukemelas_images,
  timm_images,
  torchvision_images,
)
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
from jft.pretrained.preprocessing import IMAGENET_MEAN, IMAGENET_STD


class Config(Protocol):
  """The fields read here; `jft.models.efficientnet.Config` has them all."""

  @property
  def stage_sizes(self) -> tuple[int, ...]: ...
  @property
  def lite(self) -> bool: ...
  @property
  def in_channels(self) -> int: ...


def _torchvision_pieces(block: Block) -> Pieces:
  at = f"features.{block.stage + 1}.{block.index}.block"
  return torchvision_pieces(at, block, squeeze=True)


TORCHVISION_NAMES = Naming(
  ConvNorm("features.0.0", "features.0.1"),
  ConvNorm("features.8.0", "features.8.1"),
  "classifier.1",
  _torchvision_pieces,
)


def _lukemelas_pieces(block: Block) -> Pieces:
  at = f"_blocks.{block.number}."
  return Pieces(
    ConvNorm(at + "_expand_conv", at + "_bn0"),
    ConvNorm(at + "_depthwise_conv", at + "_bn1"),
    ConvNorm(at + "_project_conv", at + "_bn2"),
    at + "_se_reduce",
    at + "_se_expand",
  )


LUKEMELAS_NAMES = Naming(
  ConvNorm("_conv_stem", "_bn0"),
  ConvNorm("_conv_head", "_bn1"),
  "_fc",
  _lukemelas_pieces,
)


def _keras_pieces(block: Block) -> Pieces:
  at = f"block{block.stage + 1}{chr(ord('a') + block.index)}_"
  return Pieces(
    ConvNorm(at + "expand_conv", at + "expand_bn"),
    ConvNorm(at + "dwconv", at + "bn"),
    ConvNorm(at + "project_conv", at + "project_bn"),
    at + "se_reduce",
    at + "se_expand",
  )


KERAS_NAMES = Naming(
  ConvNorm("stem_conv", "stem_bn"),
  ConvNorm("top_conv", "top_bn"),
  "predictions",
  _keras_pieces,
)


def _hf_names(root: str) -> Naming:
  def pieces(block: Block) -> Pieces:
    at = f"{root}encoder.blocks.{block.number}."
    depthwise, project = at + "depthwise_conv.depthwise_", at + "projection."
    return Pieces(
      ConvNorm(at + "expansion.expand_conv", at + "expansion.expand_bn"),
      ConvNorm(depthwise + "conv", depthwise + "norm"),
      ConvNorm(project + "project_conv", project + "project_bn"),
      at + "squeeze_excite.reduce",
      at + "squeeze_excite.expand",
    )

  return Naming(
    ConvNorm(f"{root}embeddings.convolution", f"{root}embeddings.batchnorm"),
    ConvNorm(f"{root}encoder.top_conv", f"{root}encoder.top_bn"),
    "classifier",
    pieces,
  )


def _table(naming: Naming, config: Config) -> dict[str, Entry]:
  return table(naming, config.stage_sizes, squeeze=not config.lite)


def _as_tensorflow(config: Any) -> Any:
  """Whoever carried Google's weights over kept TensorFlow's habits."""
  return dataclasses.replace(
    config, padding="same", norm_eps=1e-3, norm_momentum=0.99
  )


def _as_hf(config: Any) -> Any:
  """A config.json has said it all; a preset of PyTorch's has not."""
  return config if config.padding == "same" else _as_tensorflow(config)


def _as_torchvision(config: Any) -> Any:
  """torchvision trained B0 to B4; its B5 to B7 are of TensorFlow's weights.

  Even those it pads symmetrically.
  """
  large = config.width >= 1.6
  eps, momentum = (1e-3, 0.99) if large else (1e-5, 0.9)
  return dataclasses.replace(
    config, padding="symmetric", norm_eps=eps, norm_momentum=momentum
  )


TORCHVISION = Dialect(
  "torchvision",
  fits=lambda shapes: "features.1.0.block.1.fc1.weight" in shapes,
  table=lambda config, shapes: _table(TORCHVISION_NAMES, config),
  dropped=lambda config: TORCH_DROPPED,
  head=r"classifier\.1\.(weight|bias)",
  adjust=_as_torchvision,
  preprocessing=torchvision_images,
)

TIMM = Dialect(
  "timm",
  fits=lambda shapes: (
    "conv_stem.weight" in shapes and "blocks.6.0.conv_pwl.weight" in shapes
  ),
  table=lambda config, shapes: _table(TIMM_NAMES, config),
  dropped=lambda config: TORCH_DROPPED,
  head=r"classifier\.(weight|bias)",
  preprocessing=timm_images,
)

LUKEMELAS = Dialect(
  "lukemelas",
  fits=lambda shapes: "_conv_stem.weight" in shapes,
  table=lambda config, shapes: _table(LUKEMELAS_NAMES, config),
  dropped=lambda config: TORCH_DROPPED,
  head=r"_fc\.(weight|bias)",
  adjust=_as_tensorflow,
  preprocessing=lukemelas_images,
)

_HF_ANCHOR = "encoder.blocks.0.depthwise_conv.depthwise_conv.weight"


def _hf_table(config: Config, shapes: Shapes) -> dict[str, Entry]:
  """A bare EfficientNetModel is saved without the prefix of a task's."""
  root = "" if _HF_ANCHOR in shapes else "efficientnet."
  return _table(_hf_names(root), config)


HF = Dialect(
  "hf",
  fits=lambda shapes: any(name.endswith(_HF_ANCHOR) for name in shapes),
  table=_hf_table,
  dropped=lambda config: TORCH_DROPPED,
  head=r"classifier\.(weight|bias)",
  adjust=_as_hf,
  preprocessing=google_images,
)


def _keras_table(config: Config, shapes: Shapes) -> dict[str, Entry]:
  return table(
    KERAS_NAMES,
    config.stage_sizes,
    squeeze=not config.lite,
    source=spelling(shapes),
  )


def _keras_constants(config: Config) -> dict[str, tuple[float, ...]]:
  """ImageNet's mean and, where the variance should be, its deviation."""
  if config.in_channels != 3:
    return {}
  return {
    r"(.*/)?normalization(_\d+)?/mean(:0)?": IMAGENET_MEAN,
    r"(.*/)?normalization(_\d+)?/variance(:0)?": IMAGENET_STD,
  }


KERAS = Dialect(
  "keras",
  fits=lambda shapes: "block1a_se_reduce/kernel" in spelling(shapes).names,
  table=_keras_table,
  dropped=lambda config: (
    (
      r"(.*/)?normalization(_\d+)?/(mean|variance|count)(:0)?",
      "the normalisation of the images, which is net.spec.mean and std",
    ),
  ),
  head=r"(.*/)?predictions/(kernel|bias)(:0)?",
  adjust=_as_tensorflow,
  constants=_keras_constants,
  preprocessing=google_images,
)

DIALECTS = (TORCHVISION, TIMM, LUKEMELAS, HF, KERAS)
