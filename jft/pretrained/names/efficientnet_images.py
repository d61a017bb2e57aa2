"""How each project prepares the images of its EfficientNets."""

import types
from typing import Protocol

from jft.pretrained.preprocessing import Preprocessing, centred
from jft.typing import Mapping


class Config(Protocol):
  """The fields read here; `jft.models.efficientnet.Config` has them all."""

  @property
  def lite(self) -> bool: ...
  @property
  def padding(self) -> str: ...
  @property
  def image_size(self) -> int: ...
  @property
  def in_channels(self) -> int: ...


# Pixels that torchvision resizes the short side to; of B1's two sets of
# weights the newer, its default.
_TORCHVISION_RESIZE: Mapping[int, int] = types.MappingProxyType(
  {224: 256, 240: 255, 260: 288, 300: 320, 380: 384}
)
# Where timm trained at other sizes than Google; of B0, B1 and B5 it has
# several sets of weights, prepared in several ways.
_TIMM_SIDES: Mapping[int, int] = types.MappingProxyType(
  {260: 256, 300: 288, 380: 320}
)
_TIMM_LITE_SIDES: Mapping[int, int] = types.MappingProxyType(
  {280: 300, 300: 380}
)


def google_images(config: Config) -> Preprocessing:
  """Google's own: ImageNet's mean and deviation for B, 127 and 128 for Lite.

  Keras normalises inside its net, twice by the root of the deviation, and the
  processor of transformers does the same; both come to this.

  Source: tensorflow/tpu, models/official/efficientnet: preprocessing.py
  (CROP_PADDING of 32 pixels, bicubic), lite/efficientnet_lite_builder.py.
  """
  side = config.image_size
  crop = side / (side + 32)
  if config.in_channels != 3:
    return centred(side, config.in_channels)
  if config.lite:
    mean, std = (127 / 255,) * 3, (128 / 255,) * 3
    return Preprocessing(side, mean, std, "bicubic", crop)
  return Preprocessing(side, resize="bicubic", crop_pct=crop)


def lukemelas_images(config: Config) -> Preprocessing | None:
  """Google's for Lite; of B there are two sets under the same names.

  Those trained with AdvProp want images from -1 to 1, the others ImageNet's
  mean and deviation.
  """
  return google_images(config) if config.lite else None


def torchvision_images(config: Config) -> Preprocessing:
  """torchvision's `transforms()` of its weights."""
  if config.in_channels != 3:
    return centred(config.image_size, config.in_channels)
  side = 288 if config.image_size == 260 else config.image_size
  resized = _TORCHVISION_RESIZE.get(config.image_size, side)
  resize = "bilinear" if side == 240 else "bicubic"
  return Preprocessing(side, resize=resize, crop_pct=side / resized)


def timm_images(config: Config) -> Preprocessing | None:
  """timm's, where all its weights of a model agree; they often do not."""
  side = config.image_size
  if config.in_channels != 3:
    return centred(side, config.in_channels)
  if config.lite and config.padding == "same":
    side = _TIMM_LITE_SIDES.get(side, side)
    half = (0.5,) * 3
    resize = "bicubic" if side < 300 else "bilinear"
    return Preprocessing(side, half, half, resize, side / (side + 32))
  if config.lite:
    return Preprocessing(side, resize="bicubic") if side == 224 else None
  if config.padding == "same" or side not in _TIMM_SIDES:
    return None  # with and without AdvProp, or of two recipes
  return Preprocessing(_TIMM_SIDES[side], resize="bicubic")
