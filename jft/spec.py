"""What a network is and what it expects of its inputs."""

import dataclasses
import pathlib
import types

from jft.family import Family
from jft.models.head import Head
from jft.pretrained import card, preprocessing, sentence
from jft.pretrained.dialect import Dialect
from jft.pretrained.hashing import Hashes
from jft.pretrained.hub import Located
from jft.pretrained.preprocessing import Preprocessing
from jft.typing import Any, Mapping


@dataclasses.dataclass(frozen=True)
class Spec:
  """What a network is and what it expects.

  Attributes:
    family: such as "resnet"; kind: "image" or "text".
    preset: the architecture's name, "" if it has none.
    config: the family's config record.
    num_classes: outputs of the head, None without one.
    head: the head's kind as the module has it: a number is the family's own.
    label_names: of the head's classes, () if unknown.
    image_size, mean, std, resize, crop_pct, squeeze: images: as in
      `jft.pretrained.preprocessing.Preprocessing`.
    preprocessing_from: {each of those six: who said it}: "given", "card", the
      name of a file or of a project such as "torchvision", or "default".
    tokenizer: text: its file; max_tokens: of the longest text, as the source
      says or its positions allow, 0 if unknown.
    source: what was loaded, "" for random weights; hashes: of its weights.
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
  resize: str = ""
  crop_pct: float | None = None
  squeeze: bool = False
  preprocessing_from: Mapping[str, str] = dataclasses.field(
    default_factory=lambda: types.MappingProxyType({})
  )
  tokenizer: pathlib.Path | None = None
  max_tokens: int = 0
  source: str = ""
  hashes: Hashes = dataclasses.field(default_factory=Hashes, compare=False)
  head: Head | int | None = None

  @property
  def sha256(self) -> str:
    """Of the loaded weights' files, "" for random weights; see `Hashes`."""
    return self.hashes.sha256


def spec_of(
  located: Located,
  family: Family,
  dialect: Dialect,
  config: Any,
  head: Head | int | None,
  *,
  fresh_head: bool,
  given: Mapping[str, Any] = types.MappingProxyType({}),
  own: int = 0,
) -> Spec:
  """Returns the spec of what was loaded, by the source's own files.

  Args:
    located: the source.
    family, dialect, config: its architecture, and how it is written.
    head: of the model, None without one.
    fresh_head: the head is new, so the source's class names do not fit it.
    given: what the user says of image_size, mean and std.
    own: channels that the source's model reads (0: as the config).

  Raises:
    UserError: if nobody says how the model's images are to be prepared.
  """
  kept = card.names_of(located.config)
  num_classes = count(head)
  known = {dialect.adjust(c): name for name, c in family.presets.items()}
  images = {}
  if family.kind == "image":
    made, origin = preprocessing.resolve(
      located.config,
      located.processed,
      (dialect.name, dialect.preprocessing(config)),
      {**_of_one_size(config), **given},
      source=located.source,
      channels=config.in_channels,
      own=own,
    )
    if _of_one_size(config).keys() - given.keys():
      origin = {**origin, "image_size": "architecture"}
    images = {**dataclasses.asdict(made), "preprocessing_from": origin}
  return Spec(
    family.name,
    family.kind,
    known.get(config, ""),
    config,
    num_classes,
    label_names=() if fresh_head or len(kept) != num_classes else kept,
    tokenizer=located.tokenizer,
    max_tokens=_max_tokens(located, family, config),
    source=located.source,
    hashes=located.hashes,
    head=head,
    **images,
  )


def count(head: Head | int | None) -> int | None:
  """Returns how many outputs a head has."""
  return head.num_classes if isinstance(head, Head) else head


def _of_one_size(config: Any) -> dict[str, Any]:
  """Returns the size of the only images that a model can read, if so."""
  fixed = getattr(config, "fixed_size", False)
  return {"image_size": config.image_size} if fixed else {}


def _max_tokens(located: Located, family: Family, config: Any) -> int:
  if family.kind != "text":
    return 0
  most = config.max_tokens
  if located.kind == "file":  # what lies beside may belong to another
    return most
  return min(sentence.max_tokens(located.folder) or most, most)


def fresh_image_facts(
  family: Family, config: Any, given: Mapping[str, Any]
) -> dict[str, Any]:
  """Returns those fields for random weights, which any preparation suits.

  Args:
    family, config: the architecture; its first dialect's habit is the default.
    given: what the user says of image_size, mean and std.
  """
  if family.kind != "image":
    return {}
  usual = family.dialects[0].preprocessing(config)
  if usual is None:
    half = (0.5,) * config.in_channels
    side = getattr(config, "image_size", 224)
    usual = Preprocessing(side, half, half)
  made, origin = preprocessing.resolve(
    {}, {}, ("default", usual), given, source="", channels=config.in_channels
  )
  return {**dataclasses.asdict(made), "preprocessing_from": origin}
