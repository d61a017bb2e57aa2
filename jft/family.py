"""What jft knows about a model family, as one record."""

import dataclasses

from jft.pretrained.dialect import Dialect
from jft.typing import Any, Callable, Mapping, Rules


@dataclasses.dataclass(frozen=True)
class Family:
  """What jft knows about one family.

  Attributes:
    name: such as "resnet".
    kind: what it reads, "image" or "text".
    presets: {name: config}.
    module: (config, num_classes, **options) -> Linen module.
    dialects: how its weights are written down, the most particular first.
    stem: regex of the kernel that reads the image's channels, if any.
    words: regex of the leaves with a row for every word, if any; scores: of
      the kernel of a language model's head, with a column for every word.
    positions: config -> (regex, fn(array, shape) -> array) of the leaves whose
      shape follows from the image's size, if any.
    from_hf: a `config.json` of transformers -> config; its `model_types`.
    to_hf: (config, whether there is a head, the source's model type or "") ->
      such a file's settings, so that `from_hf` gives the config back.
  """

  name: str
  kind: str
  presets: Mapping[str, Any]
  module: Callable[..., Any]
  dialects: tuple[Dialect, ...]
  stem: str = ""
  words: str = ""
  scores: str = ""
  positions: Callable[[Any], Rules] = lambda config: ()
  from_hf: Callable[[Mapping[str, Any]], Any] | None = None
  model_types: tuple[str, ...] = ()
  to_hf: Callable[[Any, bool, str], dict[str, Any]] | None = None
