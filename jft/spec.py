"""What a network is and what it expects of its inputs."""

import dataclasses
import pathlib

from jft.families import Family
from jft.pretrained import sentence
from jft.pretrained.dialect import Dialect
from jft.pretrained.hub import Located
from jft.typing import Any, Mapping


@dataclasses.dataclass(frozen=True)
class Spec:
  """What a network is and what it expects.

  Attributes:
    family: such as "resnet"; kind: "image" or "text".
    preset: the architecture's name, "" if it has none.
    config: the family's config record.
    num_classes: outputs of the head, None without one.
    label_names: of the head's classes, () if unknown.
    image_size, mean, std: images: side in pixels and normalisation of [0, 1].
    tokenizer: text: its file; max_tokens: of the longest text, as the source
      says or its positions allow, 0 if unknown.
    source: what was loaded, "" for random weights; sha256: of the weights.
  """

  family: str
  kind: str
  preset: str
  config: Any
  num_classes: int | None
  label_names: tuple[str, ...] = ()
  image_size: int = 0
  mean: tuple[float, ...] = ()
  std: tuple[float, ...] = ()
  tokenizer: pathlib.Path | None = None
  max_tokens: int = 0
  source: str = ""
  sha256: str = ""


def spec_of(
  located: Located,
  family: Family,
  dialect: Dialect,
  config: Any,
  num_classes: int | None,
  *,
  fresh_head: bool,
) -> Spec:
  """Returns the spec of what was loaded, by the source's own config.

  Args:
    located: the source.
    family, dialect, config: its architecture, and how it is written.
    num_classes: of the head, None without one.
    fresh_head: the head is new, so the source's class names do not fit it.
  """
  kept = located.config.get("label_names") or [
    name
    for _, name in sorted(
      (int(i), name) for i, name in located.config.get("id2label", {}).items()
    )
  ]
  known = {c: name for name, c in family.presets.items()}
  return Spec(
    family.name,
    family.kind,
    known.get(config, ""),
    config,
    num_classes,
    label_names=() if fresh_head or len(kept) != num_classes else tuple(kept),
    tokenizer=located.tokenizer,
    max_tokens=_max_tokens(located, family, config),
    source=located.source,
    sha256=located.sha256,
    **image_facts(family, dialect, located.config, config),
  )


def _max_tokens(located: Located, family: Family, config: Any) -> int:
  if family.kind != "text":
    return 0
  most = config.max_tokens
  if located.kind == "file":  # what lies beside may belong to another
    return most
  return min(sentence.max_tokens(located.folder) or most, most)


def image_facts(
  family: Family, dialect: Dialect, found: Mapping[str, Any], config: Any
) -> dict[str, Any]:
  """Returns an image model's size, mean and std; nothing for another's.

  Args:
    family, dialect: of the source.
    found: the source's config.json, which may give them.
    config: the family's.
  """
  if family.kind != "image":
    return {}
  usual = dialect.preprocessing(config)
  facts = dataclasses.asdict(usual) if usual else {}
  facts |= {
    key: found[key] for key in ("image_size", "mean", "std") if key in found
  }
  return {
    "image_size": facts["image_size"],
    "mean": tuple(facts["mean"]),
    "std": tuple(facts["std"]),
  }
