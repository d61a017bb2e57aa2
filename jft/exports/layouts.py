"""A network as another library's weights and config, before any is written."""

import dataclasses
import types

import numpy as np

from jft import cards, families, tree
from jft.errors import UserError
from jft.exports import architectures, companions, places, unused
from jft.exports.places import TITLES
from jft.exports.subject import Subject
from jft.family import Family
from jft.models.decoder_config import writes
from jft.pretrained import export, timm_config
from jft.pretrained.dialect import Dialect
from jft.typing import Any, Mapping

# What a source's config.json says of the model that it was, not of this one.
_STALE = (
  "_name_or_path",
  "architectures",
  "dtype",
  "finetuning_task",
  "id2label",
  "label2id",
  "num_labels",
  "problem_type",
  "torch_dtype",
  "transformers_version",
)


@dataclasses.dataclass(frozen=True)
class Layout:
  """What goes into a folder, all of it in memory.

  Attributes:
    arrays: {name in the target: array}.
    config: its config.json.
    model: what the target calls the architecture, "" if it needs no name.
    notes: what the target has no word for.
  """

  arrays: Mapping[str, np.ndarray]
  config: Mapping[str, Any]
  model: str = ""
  notes: tuple[str, ...] = ()


def of_jft(subject: Subject) -> Layout:
  """Returns jft's own names, and a card that says all of the architecture."""
  return Layout(_flat(subject), card_of(subject))


def card_of(subject: Subject) -> dict[str, Any]:
  """Returns jft's own config.json of a network."""
  spec = subject.spec
  facts: dict[str, Any] = {"family": spec.family, "preset": spec.preset}
  if subject.own is None:
    facts |= cards.write(spec.config, spec.head)
  facts |= subject.preprocessing
  if spec.label_names:
    facts["label_names"] = list(spec.label_names)
  return facts


def of_hf(subject: Subject, project: str = "hf") -> Layout:
  """Returns transformers' layout.

  Args:
    subject: the network.
    project: "hf", or "flax" for what transformers once had.

  Raises:
    UserError: for what transformers has no place for.
  """
  family, config = family_of(subject, project), subject.spec.config
  if family.to_hf is None or family.from_hf is None:
    raise UserError(
      f"{TITLES[project]} has no layout of {family.name} that jft writes."
      " --to=safetensors takes any network."
    )
  headed = subject.spec.head is not None
  kept = subject.source_config.get("model_type")
  made = family.to_hf(config, headed, kept or "")
  kind = made["model_type"]
  arrays, _ = arrays_of(
    subject,
    family,
    project,
    unused.prefix_hint(kind, "/" if project == "flax" else "."),
  )
  if kept == made["model_type"]:
    made = _without_stale(subject.source_config) | made
  written = family.from_hf(made)
  title = f"{TITLES[project]}' {made['architectures'][0]}"
  places.check_kept(title, config, written, _said_elsewhere(subject))
  return Layout(
    arrays if project == "flax" else unused.added(arrays, config, kind),
    made | _labels(subject) | {"dtype": _dtype(arrays)},
    made["architectures"][0],
    notes_of(places.unsaid(config, written), project),
  )


def of_timm(subject: Subject) -> Layout:
  """Returns timm's layout, as `create_model("local-dir:...")` opens it."""
  family = family_of(subject, "timm")
  config = subject.spec.config
  arrays, dialect = arrays_of(subject, family, "timm")
  names = {p: p for p in family.presets if p not in architectures.NOT_TIMM}
  free = [f for f in timm_config.ARGUMENTS.values() if hasattr(config, f)]
  name, theirs = places.preset_of(family, "timm", dialect, config, names, free)
  arguments = {
    argument: getattr(config, field)
    for argument, field in timm_config.ARGUMENTS.items()
    if field in free
    and getattr(config, field) != getattr(theirs, field)
    and (field != "image_size" or getattr(config, "fixed_size", False))
  }
  count = subject.spec.num_classes or 0
  made: dict[str, Any] = {"architecture": name, "num_classes": count}
  if subject.spec.label_names:
    made["label_names"] = list(subject.spec.label_names)
  if arguments:
    made["model_args"] = arguments
  images = timm_config.write(subject.preprocessing, config.in_channels)
  made["pretrained_cfg"] = {**images, "num_classes": count}
  notes = notes_of(places.unsaid(config, theirs), "timm")
  return Layout(unused.added(arrays, config), made, name, notes)


def of_torchvision(subject: Subject) -> Layout:
  """Returns torchvision's state dict; the config beside it is jft's card."""
  layout, theirs = _of_presets(
    subject, "torchvision", architectures.TORCHVISION, ()
  )
  return dataclasses.replace(
    layout,
    notes=notes_of(places.unsaid(subject.spec.config, theirs), "torchvision"),
  )


def of_keras(subject: Subject) -> Layout:
  """Returns keras.applications' variables, and jft's card."""
  layout, _ = _of_presets(
    subject, "keras", architectures.KERAS, ("in_channels",)
  )
  side = subject.spec.image_size
  if layout.model.startswith("VGG") and side != 224:
    raise UserError(
      f"Keras' {layout.model} reads images of 224 pixels, this one {side}."
    )
  return layout


def _of_presets(
  subject: Subject, project: str, names: Mapping[str, str], free: Any
) -> tuple[Layout, Any]:
  family = family_of(subject, project)
  if subject.spec.head is None:
    raise UserError(
      f"{TITLES[project]}' models have a classifier, this network has none."
      " --to=safetensors keeps it as it is."
    )
  config = subject.spec.config
  arrays, dialect = arrays_of(subject, family, project)
  name, theirs = places.preset_of(family, project, dialect, config, names, free)
  return Layout(unused.added(arrays, config), card_of(subject), name), theirs


def family_of(subject: Subject, project: str) -> Family:
  """Returns the family, which an own model has not."""
  family = families.FAMILIES.get(subject.spec.family)
  if family is None or subject.own is not None:
    raise UserError(
      f"{TITLES[project]} does not know your own model"
      f" {subject.spec.family!r}: --to=safetensors, msgpack, orbax, stablehlo,"
      " onnx and savedmodel take any network."
    )
  return family


def arrays_of(
  subject: Subject,
  family: Family,
  project: str,
  hint: Mapping[str, tuple[int, ...]] = types.MappingProxyType({}),
) -> tuple[dict[str, np.ndarray], Dialect]:
  """Returns the target's arrays, and the dialect that they are written in."""
  flat, config = _flat(subject), subject.spec.config
  places.check_head(family, config, subject.spec.head)
  dialect = places.dialect_of(family, project, config, list(flat))
  table = dialect.table(config, {**dialect.written(config), **hint})
  # In the table's order, which is that of the layers.
  ordered = {name: flat[name] for name in table if name in flat}
  return export.to_source(ordered, table), dialect


def _flat(subject: Subject) -> dict[str, np.ndarray]:
  return {
    name: np.asarray(x) for name, x in tree.flatten(subject.variables).items()
  }


def _said_elsewhere(subject: Subject) -> tuple[str, ...]:
  """Fields that play no part, or stand in a sentence encoder's own files."""
  if subject.spec.kind != "text":
    return ()
  config, headed = subject.spec.config, subject.spec.head is not None
  free = ("normalize", *(["task"] if config.task == "mlm" else []))
  if companions.is_sentence(subject) or config.task != "classification":
    free += ("pooling",)
  return free if headed else (*free, "task")


def _without_stale(found: Mapping[str, Any]) -> dict[str, Any]:
  return {key: found[key] for key in found if key not in _STALE}


def _labels(subject: Subject) -> dict[str, Any]:
  count, names = subject.spec.num_classes, subject.spec.label_names
  config = subject.spec.config
  if writes(config) or getattr(config, "task", "") == "mlm" or not count:
    return {}
  if not names:
    facts = {"num_labels": count}
    one = count == 1 and subject.spec.kind == "text"
    return facts | ({"problem_type": "regression"} if one else {})
  return {
    "id2label": {str(i): name for i, name in enumerate(names)},
    "label2id": {name: i for i, name in enumerate(names)},
  }


def _dtype(arrays: Mapping[str, np.ndarray]) -> str:
  kinds = {str(x.dtype) for x in arrays.values() if x.dtype.kind in "fV"}
  return kinds.pop() if len(kinds) == 1 else "float32"


def notes_of(unsaid: Mapping[str, Any], project: str) -> tuple[str, ...]:
  """Returns a line on the settings of a training that get lost."""
  if not unsaid:
    return ()
  listed = ", ".join(f"{name}={value!r}" for name, value in unsaid.items())
  return (f"of the training, {TITLES[project]} keeps no {listed}",)
