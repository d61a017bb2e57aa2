"""Whom each option of `load_pretrained` concerns: images, config or module."""

import dataclasses

from jft.errors import UserError, did_you_mean
from jft.family import Family
from jft.models import vit_config
from jft.models.decoder_config import DecoderConfig, writes
from jft.models.text_config import TextConfig
from jft.pretrained.preprocessing import GIVEN, check_given
from jft.typing import Any, Mapping


def images(
  family: Family, options: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Splits off what is said of an image model's inputs."""
  ours = GIVEN if family.kind == "image" else ()
  given = {name: options[name] for name in options if name in ours}
  check_given(given)
  return given, {n: x for n, x in options.items() if n not in given}


def new_task(
  config: Any, num_classes: Any, options: Mapping[str, Any]
) -> dict[str, Any]:
  """The options; a new head on a model of words is one of classes.

  Args:
    config: of the source.
    num_classes: of the new head, None or 0 without one.
    options: of the user, whose own word on the task counts.
  """
  of_words = writes(config) or getattr(config, "task", "") == "mlm"
  if num_classes and of_words:
    return {"task": "classification", **options}
  return dict(options)


def configure(
  config: Any, given: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[Any, dict]:
  """Options that the family's config has go there, the rest to the module."""
  fields = {field.name for field in dataclasses.fields(config)}
  for name in options:
    if name not in (known := {*fields, *_of_modules(config)}):
      raise UserError(
        f"{_family_of(config)} has no option {name!r},"
        f" it has {', '.join(sorted(known))}.{did_you_mean(name, known)}"
      )
  # A network may be made for its images' size: the grid of a ViT's positions.
  ours = {name: given[name] for name in given if name in fields}
  ours |= {name: options[name] for name in options if name in fields}
  rest = {name: options[name] for name in options if name not in fields}
  return dataclasses.replace(config, **ours), rest


def _of_modules(config: Any) -> tuple[str, ...]:
  usual = ("dtype", "param_dtype", "remat")
  if isinstance(config, DecoderConfig):
    return (*usual, "attention", "scan")
  attends = isinstance(config, (TextConfig, vit_config.Config))
  return (*usual, "attention") if attends else usual


def _family_of(config: Any) -> str:
  return type(config).__module__.rpartition(".")[2].removesuffix("_config")
