"""timm's config.json: what a model's images are to be, and its arguments."""

import dataclasses
import reprlib
import types

from jft.errors import UserError
from jft.pretrained import card
from jft.typing import Any, Mapping

_CROPS = {"center": False, "squash": True}
ARGUMENTS: Mapping[str, str] = types.MappingProxyType(
  {"in_chans": "in_channels", "img_size": "image_size"}
)
"""{argument of timm's models: field of a family's config}."""
_OF_THE_TRAINING = ("drop_rate", "drop_path_rate", "num_classes")


def configured(config: Any, found: Mapping[str, Any]) -> Any:
  """Returns a preset's config with a file's `model_args`.

  Args:
    config: of the architecture that the file names.
    found: the file.

  Raises:
    UserError: for an argument that jft does not know.
  """
  given = found.get("model_args") or {}
  if not isinstance(given, Mapping):
    raise UserError(f"config.json: model_args is {reprlib.repr(given)}.")
  fields = {}
  for name, value in given.items():
    if value is None or name in _OF_THE_TRAINING:
      continue
    field = ARGUMENTS.get(name, "")
    if not hasattr(config, field) or type(value) is not int:
      raise UserError(
        f"config.json: model_args has {name}={reprlib.repr(value)}; of timm's"
        f" arguments jft knows {', '.join(ARGUMENTS)}, whole numbers, where the"
        " architecture has them."
      )
    fields[field] = value
  return dataclasses.replace(config, **fields)


def write(facts: Mapping[str, Any], channels: int) -> dict[str, Any]:
  """Returns the `pretrained_cfg` that `read` reads these facts from.

  Args:
    facts: `Preprocessing`'s fields.
    channels: that the model reads.

  >>> facts = {"image_size": 224, "mean": (0.5,), "std": (0.5,),
  ...   "resize": "bicubic", "crop_pct": None, "squeeze": False}
  >>> read({"architecture": "", "pretrained_cfg": write(facts, 1)}) == {
  ...   **facts, "mean": [0.5], "std": [0.5]}
  True
  """
  side, share = facts["image_size"], facts["crop_pct"]
  whole = share is None or facts["squeeze"]
  return {
    "input_size": [channels, side, side],
    "interpolation": facts["resize"],
    "crop_pct": 1.0 if share is None else share,
    "crop_mode": "squash" if whole else "center",
    "mean": list(facts["mean"]),
    "std": list(facts["std"]),
  }


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """Returns what a config.json of timm says, by `Preprocessing`'s fields.

  What it leaves out of resizing is as timm then does it. `test_input_size` and
  `test_crop_pct`, of a larger evaluation, are not used.

  Args:
    config: with `pretrained_cfg`, or with its keys at the top (before timm
      0.9); of another project: {} comes back.

  Raises:
    UserError: if a value is malformed, or images are to be padded.

  Source: timm.data.resolve_data_config and transforms_imagenet_eval.

  >>> read({"architecture": "resnet18", "input_size": [3, 224, 224]})
  {'image_size': 224, 'resize': 'bicubic', 'crop_pct': 0.875, 'squeeze': False}
  """
  found = config.get("pretrained_cfg", config)
  if "architecture" not in config or not isinstance(found, dict):
    return {}
  found = {key: value for key, value in found.items() if value is not None}
  facts: dict[str, Any] = {}
  for key in ("mean", "std"):
    if found.get(key):
      card.check("config.json", key, found[key])
      facts[key] = found[key]
  if "input_size" in found:
    facts |= {"image_size": _side(found["input_size"]), **_geometry(found)}
  return facts


def _side(size: Any) -> int:
  if not (isinstance(size, list) and len(size) == 3 and size[1] == size[2]):
    raise UserError(
      "config.json: input_size must be [channels, side, side], got"
      f" {reprlib.repr(size)}; jft reads square images."
    )
  card.check("config.json", "image_size", size[1])
  return size[1]


def _geometry(found: Mapping[str, Any]) -> dict[str, Any]:
  mode = found.get("crop_mode") or "center"
  if not isinstance(mode, str) or mode not in _CROPS:
    raise UserError(
      f"config.json: crop_mode is {reprlib.repr(mode)}, jft has"
      f" {' and '.join(_CROPS)}; images are not padded. Change it there to use"
      " the weights with another crop."
    )
  crop_pct = found.get("crop_pct") or 0.875
  resize = found.get("interpolation") or "bicubic"
  card.check("config.json", "crop_pct", crop_pct)
  card.check("config.json", "resize", resize)
  squeeze = _CROPS[mode]
  whole = squeeze and crop_pct == 1
  return {
    "resize": resize,
    "crop_pct": None if whole else float(crop_pct),
    "squeeze": squeeze and not whole,
  }
