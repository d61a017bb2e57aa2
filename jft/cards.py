"""jft's own config.json: an architecture field by field, and its head."""

import dataclasses
import reprlib
from typing import Any

from jft.errors import UserError, did_you_mean
from jft.models.decoder_config import writes
from jft.models.head import Head
from jft.pretrained.dialect import Shapes
from jft.pretrained.layouts import Entry
from jft.typing import Mapping

_HEAD = ("num_classes", "widths", "activation", "dropout")


def states_config(found: Mapping[str, Any], dialect: str) -> bool:
  """Whether a config.json has all of a config, not only a preset's name.

  Args:
    found: the parsed file: jft's own, or that of transformers.
    dialect: of the weights beside it; what transformers says is of its own
      code, and Google's gelu, for one, is another.
  """
  if "family" in found and "config" in found:
    return True
  return "model_type" in found and dialect == "hf"


def states_mean(found: Mapping[str, Any]) -> bool:
  """Whether it is jft's, and says how images are normalised."""
  return "family" in found and "config" in found and "mean" in found


def write(config: Any, head: Head | int | None) -> dict[str, Any]:
  """Returns what a card says of the architecture; `config_of`'s inverse.

  Args:
    config: of a family.
    head: of the model, None without one.
  """
  facts: dict[str, Any] = {"config": dataclasses.asdict(config)}
  if isinstance(head, Head):
    facts["head"] = {name: getattr(head, name) for name in _HEAD}
  elif head is not None:
    facts["head"] = head
  return facts


def config_of(
  name: str, usual: Mapping[str, Any], found: Mapping[str, Any]
) -> Any:
  """Returns the config that a card states.

  Args:
    name: of the family; usual: its presets, whose class the config has.
    found: the card.

  Raises:
    UserError: for a field that the family has not, or a value it cannot have.

  >>> from jft.models import resnet
  >>> card = write(resnet.PRESETS["resnet18"], 10)
  >>> config_of("resnet", resnet.PRESETS, card).stage_sizes
  (2, 2, 2, 2)
  """
  kind = type(next(iter(usual.values())))
  stated = found["config"]
  if not isinstance(stated, dict):
    raise UserError(
      f"config.json: config is {reprlib.repr(stated)}, no object."
    )
  known = [field.name for field in dataclasses.fields(kind)]
  for field in stated:
    if field not in known:
      raise UserError(
        f"config.json: jft's {name} has no {field!r}, it has"
        f" {', '.join(known)}.{did_you_mean(field, known)}"
      )
  try:
    return kind(**{f: _value(kind, f, value) for f, value in stated.items()})
  except UserError:
    raise
  except Exception as error:  # of whatever a check met in a damaged file
    raise UserError(
      f"config.json: no {name} has {reprlib.repr(stated)} ({error})."
    ) from error


def _value(kind: Any, field: str, value: Any) -> Any:
  """A list is a tuple there, an object a record of its own."""
  if isinstance(value, list):
    return tuple(value)
  if isinstance(value, dict):
    (usual,) = (f for f in dataclasses.fields(kind) if f.name == field)
    factory: Any = usual.default_factory
    return type(factory())(**value)
  return value


def head_of(found: Mapping[str, Any]) -> Head | int | None:
  """Returns the head that a card states; None if it says nothing of one.

  Raises:
    UserError: for one that there cannot be.

  >>> head_of({"family": "bert", "head": {"num_classes": 2, "widths": [8]}}
  ... ) == Head(2, (8,))
  True
  """
  stated = found.get("head") if "family" in found else None
  if stated is None or (type(stated) is int and stated > 0):
    return stated
  if not isinstance(stated, dict) or not set(stated) <= set(_HEAD):
    raise UserError(
      f"config.json: head is {reprlib.repr(stated)}, expected a number of"
      f" classes or {', '.join(_HEAD)}."
    )
  try:
    return Head(**{**stated, "widths": tuple(stated.get("widths", ()))})
  except UserError:
    raise
  except Exception as error:
    raise UserError(
      f"config.json: no head has {reprlib.repr(stated)} ({error})."
    ) from error


def own_classes(
  config: Any, table: Mapping[str, Entry], shapes: Shapes
) -> int | None:
  """Returns how many outputs the source's own head has, None without one.

  Args:
    config: of the model.
    table: {jft name: Entry}.
    shapes: {source name: shape}.
  """
  if writes(config) and config.tied:
    return config.vocab_size
  # A decoder's classifier has no bias.
  for leaf in ("bias", "out/bias", "class/bias", "kernel"):
    entry = table.get(f"params/head/{leaf}")
    if entry and entry.source in shapes:
      if writes(config) or getattr(config, "task", "") == "mlm":
        return config.vocab_size  # which may have been asked to grow
      return shapes[entry.source][0]
  return None


def source_head(
  found: Mapping[str, Any],
  config: Any,
  table: Mapping[str, Entry],
  shapes: Shapes,
) -> Head | int | None:
  """Returns a source's head: what its card says, else what its tensors show."""
  return head_of(found) or own_classes(config, table, shapes)
