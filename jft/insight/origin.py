"""Where weights come from, as far as the files beside them say it."""

import dataclasses
import pathlib
import re

from jft.insight.text import clean
from jft.pretrained.hub import WEIGHTS, Located
from jft.typing import Any, Mapping

_MAX_BYTES = 2**16  # cards are some kB; YAML is slow to read
_MAX_TEXTS = 200
_MAX_CHARS = 400


@dataclasses.dataclass(frozen=True)
class Origin:
  """What a model's own card says of it; nothing is guessed.

  Attributes:
    card: the file that says it, "" if there is none.
    licence: of the weights.
    trained_on: data sets, or a sentence.
    base: the models that it was made from.
    language, tags: as the card has them.
    result: what the card claims.
    problem: why the card could not be read.
  """

  card: str = ""
  licence: str = ""
  trained_on: tuple[str, ...] = ()
  base: tuple[str, ...] = ()
  language: tuple[str, ...] = ()
  tags: tuple[str, ...] = ()
  result: str = ""
  problem: str = ""


def origin(located: Located) -> Origin:
  """Reads what lies beside a source's weights; a bad card is no error.

  Args:
    located: the source. Read are the card of a model that jft ships, the front
      matter of a README.md in Hugging Face's form, and timm's config.json.
  """
  timm = _of_timm(located.config)
  own = located.weights.with_suffix(".md")
  beside = located.kind != "file" or located.weights.name in WEIGHTS
  readme = located.folder / "README.md"
  path = own if own.is_file() else readme
  if not path.is_file() or (path == readme and not beside):
    return timm
  try:
    with path.open("rb") as file:
      text = file.read(_MAX_BYTES).decode("utf-8-sig", errors="replace")
    found = _of_front_matter(path) if _has_front(text) else _of_list(text)
  except Exception as error:  # YAML of any make: a card is never fatal
    return dataclasses.replace(
      timm,
      card=path.name,
      problem=clean(f"{type(error).__name__}: {error}")[:_MAX_CHARS],
    )
  said = {key: value for key, value in found.items() if value}
  return dataclasses.replace(timm, **{"card": path.name, **said})


def _has_front(text: str) -> bool:
  return re.match(r"(?s)---\s*\n.*?\n---\s*(\n|$)", text) is not None


def _of_front_matter(path: pathlib.Path) -> dict[str, Any]:
  from huggingface_hub import metadata_load  # slow to import

  found = metadata_load(path) or {}
  licence = _text(found.get("license"))
  if licence == "other":
    licence = _text(found.get("license_name")) or licence
  return {
    "licence": licence,
    "trained_on": _texts(found.get("datasets")),
    "base": _texts(found.get("base_model")),
    "language": _texts(found.get("language")),
    "tags": _texts(found.get("tags")),
  }


def _of_list(text: str) -> dict[str, Any]:
  """Reads "- Key: value" lines, as the cards of jft's own models have them."""
  lines = re.findall(r"(?m)^- ([^:\n]+): (.*(?:\n  .*)*)", text)
  found = {key.lower(): clean(value)[:_MAX_CHARS] for key, value in lines}
  trained = found.get("trained on")
  return {
    "licence": found.get("licence", found.get("license", "")),
    "trained_on": (trained,) if trained else (),
    "result": found.get("test accuracy", "")
    and f"test accuracy {found['test accuracy']}",
  }


def _of_timm(config: Mapping[str, Any]) -> Origin:
  found = config.get("pretrained_cfg")
  if "architecture" not in config or not isinstance(found, Mapping):
    return Origin()
  return Origin(
    card="config.json",
    licence=_text(found.get("license")),
    # Such as "a1_in1k": the recipe, and the data that it ended on.
    tags=_texts(found.get("tag")),
  )


def _texts(value: Any) -> tuple[str, ...]:
  values = value if isinstance(value, list) else [value]
  return tuple(filter(None, map(_text, values[:_MAX_TEXTS])))


def _text(value: Any) -> str:
  return (
    clean(str(value))[:_MAX_CHARS]
    if isinstance(value, str | int | float)
    else ""
  )
