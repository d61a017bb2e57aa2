"""The JSON beside weights, checked: `config.json`, and the cards of jft."""

import json
import math
import reprlib
from pathlib import Path
from typing import Any

from jft.errors import UserError

MAX_SIDE = 2**16  # pixels


def read(path: Path) -> dict[str, Any]:
  """Reads a `config.json` or a card, and checks the keys that any model has.

  Those are `id2label` and `label_names`, `image_size`, `mean` and `std`, where
  they are given; null counts as not given. The rest is the family's business.
  timm keeps them in `pretrained_cfg`, from where they are taken.

  Raises:
    UserError: if the file is no JSON object, or one of them is malformed.
  """
  try:
    found = json.loads(path.read_bytes())
  except OSError as error:
    raise UserError(f"cannot read {path}: {error}.") from error
  except (ValueError, RecursionError) as error:
    raise UserError(f"{path} is not JSON: {error}.") from error
  if not isinstance(found, dict):
    raise UserError(f"{path} is not a JSON object.")
  found = _of_timm(found) | found
  # transformers writes null for what a model does not have.
  found = {
    key: value
    for key, value in found.items()
    if not (key in _KEYS and value is None)
  }
  for key, (sound, expected) in _KEYS.items():
    if key in found and not sound(found[key]):
      raise UserError(
        f"{path}: {key} must be {expected}, got {reprlib.repr(found[key])}."
      )
  return found


def _of_timm(found: dict[str, Any]) -> dict[str, Any]:
  """Returns what timm's config.json says of the images, as jft has it."""
  kept = found.get("pretrained_cfg")
  if "architecture" not in found or not isinstance(kept, dict):
    return {}
  lifted = {key: kept[key] for key in ("mean", "std") if key in kept}
  size = kept.get("input_size")  # channels, height, width
  if isinstance(size, list) and len(size) == 3 and size[1] == size[2]:
    lifted["image_size"] = size[1]
  if "label_names" in found or "label_names" not in kept:
    return lifted
  return lifted | {"label_names": kept["label_names"]}


def _is_texts(value: Any) -> bool:
  return isinstance(value, list) and all(isinstance(v, str) for v in value)


def _is_id2label(value: Any) -> bool:
  return isinstance(value, dict) and all(
    key.isascii()
    and key.isdecimal()
    and len(key) < 10
    and isinstance(name, str)
    for key, name in value.items()
  )


def _is_side(value: Any) -> bool:
  # Other libraries' configs may give [height, width] or a dict.
  return type(value) is int and 0 < value <= MAX_SIDE


def _is_numbers(value: Any) -> bool:
  return isinstance(value, list) and all(
    type(v) in (int, float) and abs(v) < 1e30 for v in value
  )


def _is_spread(value: Any) -> bool:
  return _is_numbers(value) and all(v > 0 and math.isfinite(v) for v in value)


_KEYS = {
  "label_names": (_is_texts, "a list of class names"),
  "id2label": (_is_id2label, 'class names by index, such as {"0": "cat"}'),
  "image_size": (_is_side, f"a side in pixels, from 1 to {MAX_SIDE}"),
  "mean": (_is_numbers, "a list of numbers, one a channel"),
  "std": (_is_spread, "a list of positive numbers, one a channel"),
}
