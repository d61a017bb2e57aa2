"""Every architecture that has a name: what `jft models` lists."""

import dataclasses
import fnmatch
import hashlib
import importlib.resources
import json
import types

from jft import families, loading, shapes, tree
from jft.errors import UserError, did_you_mean
from jft.family import Family
from jft.typing import Any, Mapping

RECORDS = "presets.json"
"""Parameter counts by name, beside this file, as scripts/write_models.py left
them: tracing a hundred models to count them takes half a minute."""

_NOTHING: Mapping[str, Any] = types.MappingProxyType({})
_NEAR = 4  # settings by which a config may differ and still be like a preset


@dataclasses.dataclass(frozen=True)
class Preset:
  """One named architecture.

  Attributes:
    name, family: of it.
    kind: what it reads, "image" or "text".
    params: without a head.
    input: such as "224 x 224 x 3" or "512 tokens".
    dialects: whose weights jft reads: torchvision's, timm's, ...
  """

  name: str
  family: str
  kind: str
  params: int
  input: str
  dialects: tuple[str, ...]


def presets(pattern: str = "*", *, traced: bool = False) -> list[Preset]:
  """Returns the presets that a pattern fits, by family and then by size.

  Args:
    pattern: with "*", "?" and "[...]" over names, or a part of a name, or the
      name of a family or of a dialect.
    traced: count the parameters now, also where they are on record.

  Raises:
    UserError: if nothing fits.

  >>> [preset.name for preset in presets("resnet1?")]
  ['resnet18']
  """
  known = {} if traced else records()
  fitting = [
    (family, name, config)
    for family in families.FAMILIES.values()
    for name, config in family.presets.items()
    if _fits(pattern, name, family)
  ]
  if not fitting:
    names = [n for f in families.FAMILIES.values() for n in f.presets]
    raise UserError(
      f"no architecture fits {pattern!r}.{did_you_mean(pattern, names)} `jft"
      " models` lists all of them."
    )
  found = [_preset(*one, known) for one in fitting]
  order = {name: i for i, name in enumerate(families.FAMILIES)}
  return sorted(found, key=lambda p: (order[p.family], p.params, p.name))


def like(family: str, config: Any) -> str:
  """Describes a config by the preset that it is nearest to.

  >>> config = families.preset("resnet34")[1]
  >>> like("resnet", dataclasses.replace(config, width=8))
  'resnet34 but for width=8'
  """
  if family not in families.FAMILIES:
    return ""
  near = []
  for name, other in families.FAMILIES[family].presets.items():
    if type(other) is type(config):
      mine, theirs = dataclasses.asdict(config), dataclasses.asdict(other)
      differ = [f"{k}={v!r}" for k, v in mine.items() if v != theirs[k]]
      near.append((len(differ), name, differ))
  if not near or min(near)[0] > _NEAR:
    return f"no preset of {family}"
  _, name, differ = min(near)
  return f"{name} but for {', '.join(differ)}" if differ else name


def records() -> Mapping[str, Mapping[str, Any]]:
  """Returns what is on record of each preset: config's hash and parameters."""
  file = importlib.resources.files(__package__ or "jft.insight") / RECORDS
  return json.loads(file.read_text()) if file.is_file() else {}


def record(known: Mapping[str, Any] = _NOTHING) -> dict[str, dict[str, Any]]:
  """Returns what `records` should hold.

  Args:
    known: counts that still hold, of configs that did not change.
  """
  made = {}
  for family in families.FAMILIES.values():
    for name, config in family.presets.items():
      count = _known(known, name, config) or _count(family, config)
      made[name] = {"config": fingerprint(config), "params": count}
  return made


def fingerprint(config: Any) -> str:
  """Returns a short hash of a config's values: what a record is valid for."""
  return hashlib.sha256(repr(config).encode()).hexdigest()[:12]


def _fits(pattern: str, name: str, family: Family) -> bool:
  words = {family.name, *(dialect.name for dialect in family.dialects)}
  if any(c in pattern for c in "*?["):
    return fnmatch.fnmatchcase(name, pattern)
  return pattern in name or pattern in words


def _preset(
  family: Family, name: str, config: Any, known: Mapping[str, Any]
) -> Preset:
  params = _known(known, name, config) or _count(family, config)
  dialects = tuple(dialect.name for dialect in family.dialects)
  return Preset(
    name, family.name, family.kind, params, _input(family, config), dialects
  )


def _known(known: Mapping[str, Any], name: str, config: Any) -> int:
  """Returns the count on record, 0 if there is none for this config."""
  found = known.get(name, {})
  return found["params"] if found.get("config") == fingerprint(config) else 0


def _count(family: Family, config: Any) -> int:
  module = family.module(config, None)
  inputs = loading.input_shapes(family, config)
  flat = shapes.variables(module, config, inputs)
  return tree.count(tree.unflatten(flat)["params"])


def _input(family: Family, config: Any) -> str:
  if family.kind == "text":
    return f"{config.max_tokens} tokens"
  # The first dialect that says it; a config's own size is the only one it has.
  size = getattr(config, "image_size", None)
  for dialect in family.dialects:
    if size is None and (usual := dialect.preprocessing(config)):
      size = usual.image_size
  return f"{size} x {size} x {config.in_channels}" if size else "any size"
