"""How one project writes a family's weights down: names, layouts, habits."""

import dataclasses
from typing import Any

from jft.errors import UserError
from jft.pretrained.layouts import Entry
from jft.pretrained.preprocessing import Preprocessing
from jft.typing import Callable, Mapping, Rules, Sequence

Shapes = Mapping[str, tuple[int, ...]]


def _unchanged(config: Any) -> Any:
  return config


def _one_way(config: Any) -> Shapes:
  del config
  return {}


def _unchecked(config: Any, shapes: Shapes) -> None:
  del config, shapes


def _nothing(config: Any) -> Any:
  del config


@dataclasses.dataclass(frozen=True)
class Dialect:
  """One project's way to write a family's weights down.

  Attributes:
    name: "torchvision", "timm", "hf", "keras", "google" or "flax".
    fits: shapes of a source -> whether it is written so; one name that no
      other dialect has is enough.
    table: (config, shapes) -> {jft name: Entry}; the head always listed.
    written: config -> shapes from which `table` tells how the project's own
      model of a config is saved, where its models differ in that; for a file
      that is yet to be written.
    dropped: config -> (regex, reason) of source tensors that jft never needs.
    head: a regex over the source's names: its classifier.
    adjust: config -> config, for what this project computes differently
      (Keras' ResNet has biases and another epsilon).
    check: (config, shapes): raises where the source holds another
      architecture, if more can be said than which tensor does not fit.
    ties: config -> {source name: source name of the tensor it must equal}; a
      tensor that is there must be equal, and is then dropped.
    constants: config -> {regex over the source's names: values} of tensors that
      are not loaded but must hold these values, such as a normalisation.
    preprocessing: config -> how the project published its images to be
      prepared, or None where its models differ, so that it must be said.
  """

  name: str
  fits: Callable[[Shapes], bool]
  table: Callable[[Any, Shapes], Mapping[str, Entry]]
  dropped: Callable[[Any], Rules]
  head: str
  written: Callable[[Any], Shapes] = _one_way
  adjust: Callable[[Any], Any] = _unchanged
  check: Callable[[Any, Shapes], None] = _unchecked
  ties: Callable[[Any], Mapping[str, str] | None] = _nothing
  constants: Callable[[Any], Mapping[str, Sequence[float]] | None] = _nothing
  preprocessing: Callable[[Any], Preprocessing | None] = _nothing


def choose(family: str, dialects: Sequence[Dialect], shapes: Shapes) -> Dialect:
  """Returns the dialect that a source is written in.

  Args:
    family: for the message.
    dialects: the most particular first.
    shapes: {source name: shape}.

  Raises:
    UserError: if none fits.
  """
  for dialect in dialects:
    if dialect.fits(shapes):
      return dialect
  first = ", ".join(list(shapes)[:3])
  raise UserError(
    f"the file is no {family} in a layout that jft reads"
    f" ({', '.join(dialect.name for dialect in dialects)}): its {len(shapes)}"
    f" tensors begin with {first}. Give the arch that it was made for."
  )
