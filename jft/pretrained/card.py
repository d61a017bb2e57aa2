"""The JSON beside weights, checked: configs, cards of jft, class names."""

import json
import math
import reprlib
from pathlib import Path
from typing import Any

from jft.errors import UserError
from jft.typing import RESIZES, Mapping

MAX_SIDE = 2**16  # pixels


def read(path: Path) -> dict[str, Any]:
  """Reads a `config.json` or a card, and checks the keys that any model has.

  Those are `id2label` and `label_names`, `image_size`, `mean` and `std`, where
  they are given (of a card of jft also `resize`, `crop_pct` and `squeeze`);
  null counts as not given. The rest is the family's business.

  Raises:
    UserError: if the file is no JSON object, or one of them is malformed.
  """
  found = json_of(path)
  if not isinstance(found, dict):
    raise UserError(f"{path} is not a JSON object.")
  keys = _KEYS if "family" in found else _COMMON
  # transformers writes null for what a model does not have.
  found = {
    key: value
    for key, value in found.items()
    if not (key in keys and value is None)
  }
  for key in keys:
    if key in found:
      check(str(path), key, found[key])
  return found


def with_labels(found: dict[str, Any], path: Path) -> dict[str, Any]:
  """Returns a config with the class names of a file beside it.

  Args:
    found: the config, whose own names come first.
    path: of a `labels.json`: names by index, or a list of them.

  Raises:
    UserError: if the file is neither.
  """
  if "label_names" in found or "id2label" in found:
    return found
  labels = json_of(path)
  check(str(path), "label_names", labels)
  return found | {"label_names": labels}


def json_of(path: Path) -> Any:
  """Reads a JSON file.

  Raises:
    UserError: if it cannot be read, or is none.
  """
  try:
    return json.loads(path.read_bytes())
  except OSError as error:
    raise UserError(f"cannot read {path}: {error}.") from error
  except (ValueError, RecursionError) as error:
    raise UserError(f"{path} is not JSON: {error}.") from error


def check(where: str, key: str, value: Any, *, named: str = "") -> None:
  """Raises UserError unless a value is sound for a key of a card.

  Args:
    where: the file, for the message.
    key: one that `read` checks.
    value: what was found.
    named: what that file calls the key, if something else.
  """
  sound, expected = _KEYS[key]
  if not sound(value):
    raise UserError(
      f"{where}: {named or key} must be {expected}, got {reprlib.repr(value)}."
    )


def _is_texts(value: Any) -> bool:
  return isinstance(value, list) and all(isinstance(v, str) for v in value)


def names_of(config: Mapping[str, Any]) -> tuple[str, ...]:
  """Returns the class names in a config or card, () if it has not all of them.

  jft and timm write `label_names`, transformers `id2label`.

  >>> names_of({"id2label": {"1": "dog", "0": "cat"}})
  ('cat', 'dog')
  """
  found = config.get("label_names") or config.get("id2label") or ()
  if not isinstance(found, Mapping):
    return tuple(found)
  named = {int(index): name for index, name in found.items()}
  if sorted(named) != list(range(len(found))):
    return ()
  return tuple(named[index] for index in range(len(named)))


def _is_names(value: Any) -> bool:
  return _is_texts(value) or _is_id2label(value)


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


def _is_share(value: Any) -> bool:
  return type(value) in (int, float) and 0.01 <= value <= 1


_KEYS = {
  "label_names": (_is_names, "a list of class names, or names by index"),
  "id2label": (_is_id2label, 'class names by index, such as {"0": "cat"}'),
  "image_size": (_is_side, f"a side in pixels, from 1 to {MAX_SIDE}"),
  "mean": (_is_numbers, "a list of numbers, one a channel"),
  "std": (_is_spread, "a list of positive numbers, one a channel"),
  "resize": (RESIZES.__contains__, f"one of {', '.join(RESIZES)}"),
  "crop_pct": (_is_share, "a share of the image, from 0.01 to 1"),
  "squeeze": (lambda value: isinstance(value, bool), "true or false"),
}
_COMMON = ("label_names", "id2label", "image_size", "mean", "std")
