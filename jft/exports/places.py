"""Whether a project's model has a place for all of a network, and which."""

import dataclasses
import types

from jft.errors import UserError
from jft.family import Family
from jft.models.head import Head
from jft.pretrained.dialect import Dialect
from jft.typing import Any, Mapping, Sequence

# They steer a training; what a network computes is the same without them.
TRAINING = frozenset(
  (
    "dropout",
    "attention_dropout",
    "head_dropout",
    "drop_path",
    "init_std",
    "norm_momentum",
    "recipe",
  )
)
TITLES: Mapping[str, str] = types.MappingProxyType(
  {
    "hf": "transformers",
    "timm": "timm",
    "torchvision": "torchvision",
    "keras": "keras.applications",
    "flax": "transformers' Flax",
    "llama2.c": "llama2.c",
  }
)
# timm keeps torchvision's names here.
_SAME_NAMES = ("resnet", "densenet")


def differing(a: Any, b: Any, free: Sequence[str] = ()) -> list[str]:
  """Returns the fields in which two configs compute something else.

  Args:
    a, b: of one family.
    free: fields that do not matter here.
  """
  skipped = set(free) | TRAINING
  if not getattr(a, "fixed_size", False):
    skipped.add("image_size")
  fields = [f.name for f in dataclasses.fields(a) if f.name not in skipped]
  return [name for name in fields if _computed(a, name) != _computed(b, name)]


def _computed(config: Any, field: str) -> Any:
  value = getattr(config, field)
  if field == "layer_types":
    usual = dataclasses.replace(config, layer_types=()).kinds
    return config.kinds if config.kinds != usual else ()
  # It says where the scales start; that there are some is structure.
  return bool(value) if field == "layer_scale" else value


def check_kept(
  title: str, config: Any, written: Any, free: Sequence[str] = ()
) -> None:
  """Checks that what a library reads is the architecture that was written.

  Args:
    title: of what is read there.
    config: of the network; written: what its file says.
    free: fields that do not matter here.

  Raises:
    UserError: naming the fields that got lost.
  """
  if gaps := differing(config, written, free):
    raise UserError(
      f"{title} has no place for "
      + ", ".join(
        f"{name}={getattr(config, name)!r} (it has {getattr(written, name)!r})"
        for name in gaps
      )
      + ". --to=safetensors keeps jft's own structure."
    )


def unsaid(a: Any, b: Any) -> dict[str, Any]:
  """Returns {field: a's value} of what b says otherwise, of a training."""
  fields = [f.name for f in dataclasses.fields(a)]
  return {
    name: getattr(a, name)
    for name in fields
    if name in TRAINING and getattr(a, name) != getattr(b, name)
  }


def dialect_of(
  family: Family, project: str, config: Any, names: Sequence[str]
) -> Dialect:
  """Returns the dialect in which a project has a place for every variable.

  Args:
    family: of the network; project: a key of `TITLES`.
    config: of the network.
    names: of its variables.

  Raises:
    UserError: if there is none, saying which variables are too many or missing.
  """
  wanted = project
  if project == "timm" and family.name in _SAME_NAMES:
    wanted = "torchvision"
  found = [
    dialect
    for dialect in family.dialects
    if dialect.name == wanted or dialect.name.startswith(f"{wanted}_")
  ]
  found.sort(key=lambda dialect: dialect.name != wanted)
  if not found:
    known = [p for p in TITLES if any(d.name == p for d in family.dialects)]
    raise UserError(
      f"{TITLES[project]} has no layout of {family.name} that jft writes; of"
      f" {family.name} jft writes those of {', '.join(known) or 'nobody'}, and"
      " any network with --to=safetensors."
    )
  gaps = [_gap(dialect, config, names) for dialect in found]
  for dialect, (extra, missing) in zip(found, gaps, strict=True):
    if not extra and not missing:
      return dialect
  extra, missing = min(gaps, key=lambda gap: len(gap[0]) + len(gap[1]))
  raise UserError(
    f"{TITLES[project]}' {family.name} has another structure: "
    + " and ".join(
      [f"no place for {_listed(extra)}"] * bool(extra)
      + [f"it needs {_listed(missing)}"] * bool(missing)
    )
    + ". --to=safetensors keeps jft's own structure."
  )


def _gap(
  dialect: Dialect, config: Any, names: Sequence[str]
) -> tuple[list[str], list[str]]:
  """Returns the variables without a place, and the places without one."""
  try:
    table = dialect.table(config, dialect.written(config))
  except UserError:
    return list(names), []
  headed = any(name.startswith("params/head/") for name in names)
  extra = [name for name in names if name not in table]
  missing = [
    name
    for name in table
    if name not in names and (headed or not name.startswith("params/head/"))
  ]
  return extra, missing


def _listed(names: Sequence[str]) -> str:
  more = f" and {len(names) - 3} more" if len(names) > 3 else ""
  return ", ".join(names[:3]) + more


def check_head(family: Family, config: Any, head: Head | int | None) -> None:
  """Checks that an MLP head computes what the family's own does.

  Raises:
    UserError: if its activation is another.
  """
  if not isinstance(head, Head) or not head.widths:
    return
  own_of = getattr(family.module(config, None), "features_head", None)
  own = own_of(head.num_classes)[0] if own_of else head.num_classes
  if isinstance(own, Head) and own.activation != head.activation:
    raise UserError(
      f"the head of {family.name} has the activation {own.activation!r} in"
      f" every other library, this one has {head.activation!r}."
      " --to=safetensors keeps it."
    )


def preset_of(
  family: Family,
  project: str,
  dialect: Dialect,
  config: Any,
  names: Mapping[str, str],
  free: Sequence[str],
) -> tuple[str, Any]:
  """Returns a project's name for an architecture, and its own config.

  Args:
    family, project, dialect, config: of the network.
    names: {preset: what the project calls it}.
    free: fields that its models take as arguments.

  Raises:
    UserError: if the project has no such model, naming the nearest.
  """
  known = {
    preset: dialect.adjust(family.presets[preset])
    for preset in names
    if preset in family.presets
  }
  gaps = {
    preset: differing(config, made, free) for preset, made in known.items()
  }
  if not gaps:
    raise UserError(f"{TITLES[project]} has no {family.name} that jft knows.")
  sized = "image_size" in free and hasattr(config, "image_size")
  near = min(
    gaps,
    key=lambda p: (
      len(gaps[p]),
      sized and known[p].image_size != config.image_size,
    ),
  )
  if gaps[near]:
    theirs = known[near]
    raise UserError(
      f"{TITLES[project]} has no such {family.name}. The nearest is"
      f" {names[near]}, but "
      + ", ".join(
        f"{field} is {getattr(config, field)!r} and not"
        f" {getattr(theirs, field)!r}"
        for field in gaps[near]
      )
      + ". --to=safetensors keeps jft's own structure."
    )
  return names[near], known[near]
