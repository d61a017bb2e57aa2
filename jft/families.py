"""Each model family: its code, its presets, its names in foreign files.

This is where models/ and pretrained/, which never import each other, meet.
"""

import dataclasses
import types

from jft.errors import UserError, did_you_mean
from jft.models import bert, resnet
from jft.pretrained.names import bert as bert_names
from jft.pretrained.names import resnet as resnet_names
from jft.typing import Any, Callable, Mapping, Rules

Shapes = Mapping[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Family:
  """What jft knows about one family.

  Attributes:
    name: such as "resnet".
    kind: what it reads, "image" or "text".
    presets: {name: config}.
    module: (config, num_classes, **options) -> Linen module.
    recognise: (config.json, shapes of the source) -> config, or None.
    check: (config, shapes): raises if the source holds another architecture.
    table: (config, shapes) -> {jft name: Entry}.
    dropped: config -> rules of source tensors that are never needed.
    head: the source's head tensors, as a regex.
  """

  name: str
  kind: str
  presets: Mapping[str, Any]
  module: Callable[..., Any]
  recognise: Callable[[Mapping[str, Any], Shapes], Any]
  check: Callable[[Any, Shapes], None]
  table: Callable[[Any, Shapes], Mapping[str, Any]]
  dropped: Callable[[Any], Rules]
  head: str


def _recognise_resnet(config: Mapping[str, Any], shapes: Shapes) -> Any:
  """A ResNet needs its preset named: shapes cannot tell v1 from v1.5."""
  if config.get("family") != "resnet":
    return None
  return preset(str(config.get("preset", "")))[1]


def _recognise_bert(config: Mapping[str, Any], shapes: Shapes) -> Any:
  if config.get("model_type") != "bert":
    return None
  return bert.BertConfig.from_hf(config)


RESNET = Family(
  "resnet",
  "image",
  resnet.PRESETS,
  resnet.module,
  _recognise_resnet,
  resnet_names.check,
  lambda config, shapes: resnet_names.table(config),
  lambda config: resnet_names.DROPPED,
  r"fc\.(weight|bias)",
)

BERT = Family(
  "bert",
  "text",
  bert.PRESETS,
  bert.module,
  _recognise_bert,
  lambda config, shapes: None,
  lambda config, shapes: bert_names.table(config, shapes),
  bert_names.dropped,
  r"classifier\.(weight|bias)",
)

FAMILIES: Mapping[str, Family] = types.MappingProxyType(
  {family.name: family for family in (RESNET, BERT)}
)


def preset(arch: str) -> tuple[Family, Any]:
  """Returns the family and config of a preset's name.

  Raises:
    UserError: if no family has it.

  >>> family, config = preset("resnet34")
  >>> family.name, config.stage_sizes
  ('resnet', (3, 4, 6, 3))
  """
  for family in FAMILIES.values():
    if arch in family.presets:
      return family, family.presets[arch]
  known = [name for family in FAMILIES.values() for name in family.presets]
  raise UserError(
    f"no architecture {arch!r}.{did_you_mean(arch, known)} There are:"
    f" {', '.join(known)}."
  )
