"""How transformers' preprocessor_config.json says what images are to be."""

import dataclasses
import math
import re
import reprlib
import types

from jft.errors import UserError
from jft.pretrained import card
from jft.typing import RESIZES, Any, Mapping

FILE = "preprocessor_config.json"


@dataclasses.dataclass(frozen=True)
class Habit:
  """What one image processor of transformers does where its file is silent.

  Attributes:
    square: a bare number as size means both sides, not the short one.
    resample: Pillow's number of the interpolation.
    crop: it cuts out the centre.
    crop_pct: of the size, before the centre is cut out; None: the size is
      already that before the crop.
  """

  square: bool
  resample: int
  crop: bool
  crop_pct: float | None = None


# ConvNeXt's own rule: from this side on the picture is squeezed.
_CONVNEXT_WHOLE = 384

HABITS: Mapping[str, Habit] = types.MappingProxyType(
  {
    "Beit": Habit(True, 3, False),
    "Bit": Habit(False, 3, True),
    "CLIP": Habit(False, 3, True),
    "ConvNext": Habit(False, 3, False, 224 / 256),
    "DeiT": Habit(True, 3, True),
    "EfficientNet": Habit(True, 3, False),
    "MobileNetV1": Habit(False, 2, True),
    "MobileNetV2": Habit(False, 2, True),
    "PoolFormer": Habit(False, 3, True, 0.9),
    "Siglip": Habit(True, 3, False),
    "ViT": Habit(True, 2, False),
  }
)
# Files from before the type was written: by config.json's model_type.
_MODELS: Mapping[str, str] = types.MappingProxyType(
  {
    **{name.lower(): name for name in HABITS},
    "convnextv2": "ConvNext",
    "dinov2": "Bit",
    "mobilenet_v1": "MobileNetV1",
    "mobilenet_v2": "MobileNetV2",
    "regnet": "ConvNext",
    "resnet": "ConvNext",
    "swin": "ViT",
  }
)
_TYPE = re.compile(r"(\w+?)(ImageProcessor(Fast|Pil)?|FeatureExtractor)")


def read(
  found: Mapping[str, Any], config: Mapping[str, Any], channels: int
) -> dict[str, Any]:
  """Returns what a preprocessor_config.json says, by `Preprocessing`'s fields.

  Args:
    found: the file's content; {} gives {}.
    config: the config.json beside it.
    channels: that the model reads.

  Raises:
    UserError: if a value is malformed, or asks for what jft does not do.

  Source: transformers' image processors (5.23), and what they did with the
    files of version 4 (a bare number as size).
  """
  found = {key: value for key, value in found.items() if value is not None}
  if not found:
    return {}
  kind = _kind(found, config)
  habit = HABITS[kind]
  facts: dict[str, Any] = {}
  if _flag(found, "do_resize", True):
    facts |= _geometry(found, kind, habit)
    facts["resize"] = RESIZES[_resample(found, habit)]
  return facts | _scale(found, kind, channels)


def write(facts: Mapping[str, Any]) -> dict[str, Any]:
  """Returns a preprocessor_config.json that `read` reads these facts from.

  Args:
    facts: `Preprocessing`'s fields.

  >>> facts = {"image_size": 224, "mean": (0.5,), "std": (0.5,),
  ...   "resize": "bicubic", "crop_pct": 0.875, "squeeze": False}
  >>> read(write(facts), {}, 1) == facts
  True
  """
  crop, share = facts["image_size"], facts["crop_pct"]
  square = {"height": crop, "width": crop}
  made: dict[str, Any] = {
    "do_resize": True,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": list(facts["mean"]),
    "image_std": list(facts["std"]),
    "resample": RESIZES.index(facts["resize"]),
  }
  if share is None:
    return {"image_processor_type": "ViTImageProcessor", "size": square, **made}
  side = resized_side(crop, share)
  made |= {"do_center_crop": True, "crop_size": square}
  if facts["squeeze"]:
    sides = {"height": side, "width": side}
    return {"image_processor_type": "DeiTImageProcessor", "size": sides, **made}
  short = {"shortest_edge": side}
  return {"image_processor_type": "BitImageProcessor", "size": short, **made}


def resized_side(size: int, crop_pct: float) -> int:
  """Returns the pixels before the crop, as `jft.data.images` takes them."""
  # A share such as 224 / 232 must give 232 back, whatever its rounding.
  return int(size / crop_pct + 1e-6)


def _kind(found: Mapping[str, Any], config: Mapping[str, Any]) -> str:
  stated = found.get(
    "image_processor_type", found.get("feature_extractor_type")
  )
  if stated is None:
    stated = config.get("model_type")
    kind = _MODELS.get(stated) if isinstance(stated, str) else None
  else:
    match = _TYPE.fullmatch(stated) if isinstance(stated, str) else None
    kind = match[1].replace("ConvNeXT", "ConvNext") if match else None
  if kind is None or kind not in HABITS:
    raise UserError(
      f"{FILE} is of {reprlib.repr(stated)}, jft reads those of"
      f" {', '.join(HABITS)}. Without that file, say image_size=, mean= and"
      " std= yourself."
    )
  return kind


def _geometry(
  found: Mapping[str, Any], kind: str, habit: Habit
) -> dict[str, Any]:
  side, square = _size(found, "size", habit.square)
  share = _share(found, habit)
  if kind == "ConvNext":
    whole = square or side >= _CONVNEXT_WHOLE
    return _facts(side, None if whole else share, False)
  if share is not None:
    side, square = int(side / share), False
  if not _flag(found, "do_center_crop", habit.crop):
    if not square:
      raise UserError(
        f"{FILE} resizes the short side to {side} and crops nothing, so images"
        " stay oblong; jft's are square. Set do_center_crop and crop_size."
      )
    return _facts(side, None, False)
  crop = _size(found, "crop_size", True)[0]
  if crop > side:
    raise UserError(
      f"{FILE}: crop_size {crop} is more than the size {side} before it; jft"
      " does not pad images."
    )
  if square and crop == side:
    return _facts(side, None, False)
  return _facts(crop, crop / side, square)


def _facts(side: int, crop_pct: float | None, squeeze: bool) -> dict[str, Any]:
  return {"image_size": side, "crop_pct": crop_pct, "squeeze": squeeze}


def _size(found: Mapping[str, Any], key: str, square: bool) -> tuple[int, bool]:
  """Returns (pixels, whether both sides get them)."""
  value = found.get(key)
  side: Any = value
  if isinstance(value, dict):
    given = {name: v for name, v in value.items() if v is not None}
    if given.keys() == {"shortest_edge"}:
      side, square = given["shortest_edge"], False
    elif given.keys() == {"height", "width"}:
      side = [given["height"], given["width"]]
    else:
      side = None
  if isinstance(side, list):
    side = side[0] if len(side) == 2 and side[0] == side[1] else None
    square = True
  if not (type(side) is int and 0 < side <= card.MAX_SIDE):
    raise UserError(
      f"{FILE}: {key} must be a side, equal height and width, or shortest_edge,"
      f" from 1 to {card.MAX_SIDE} pixels, got {reprlib.repr(value)}."
    )
  return side, square


def _share(found: Mapping[str, Any], habit: Habit) -> float | None:
  if habit.crop_pct is None:
    return None
  share = found.get("crop_pct", habit.crop_pct)
  card.check(FILE, "crop_pct", share)
  return float(share)


def _resample(found: Mapping[str, Any], habit: Habit) -> int:
  number = found.get("resample", habit.resample)
  if type(number) is not int or not 0 <= number < len(RESIZES):
    raise UserError(
      f"{FILE}: resample must be Pillow's number of an interpolation, 0 to"
      f" {len(RESIZES) - 1}, got {reprlib.repr(number)}."
    )
  return number


def _scale(
  found: Mapping[str, Any], kind: str, channels: int
) -> dict[str, Any]:
  """The mean and std of values from 0 to 1, whatever the file scales to."""
  factor = 1.0
  if _flag(found, "do_rescale", True):
    factor = found.get("rescale_factor", 1 / 255)
    if type(factor) not in (int, float) or not 1e-6 < factor < 1e6:
      raise UserError(
        f"{FILE}: rescale_factor must be a positive number such as 1/255, got"
        f" {reprlib.repr(factor)}."
      )
  unit = 255 * factor
  unit = 1.0 if math.isclose(unit, 1, rel_tol=1e-6) else unit
  shift = 1.0 if _flag(found, "rescale_offset", False) else 0.0
  mean, std = (0.0,) * channels, (1.0,) * channels
  if _flag(found, "do_normalize", True):
    if "image_mean" not in found or "image_std" not in found:
      return {}
    mean = _numbers(found, "image_mean", "mean", channels)
    std = _numbers(found, "image_std", "std", channels)
  spread = std
  if kind == "EfficientNet" and _flag(found, "include_top", True):
    # It divides by the deviation once more.
    spread = tuple(s * s for s in std)
  return {
    "mean": tuple(
      (m + shift) / unit if shift or unit != 1 else m for m in mean
    ),
    "std": tuple(s / unit if unit != 1 else s for s in spread),
  }


def _numbers(
  found: Mapping[str, Any], key: str, rule: str, channels: int
) -> tuple[float, ...]:
  value = found[key]
  if type(value) in (int, float):
    value = [value] * channels
  card.check(FILE, rule, value, named=key)
  return tuple(value)


def _flag(found: Mapping[str, Any], key: str, default: bool) -> bool:
  value = found.get(key, default)
  if not isinstance(value, bool):
    raise UserError(
      f"{FILE}: {key} must be true or false, got {reprlib.repr(value)}."
    )
  return value
