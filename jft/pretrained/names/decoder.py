"""What the name tables of all decoders share."""

from collections.abc import Iterable
from typing import Protocol

from jft.errors import UserError
from jft.pretrained.layouts import Entry
from jft.typing import Rules

HEAD = r"(.*\.)?(lm_head|score)\..*"
"""The source's head, of any task."""

CONSTANTS = (
  r"(.*\.)?(rotary_emb\.inv_freq|attn\.(bias|masked_bias))",
  "a constant that older releases of transformers saved",
)


class Config(Protocol):
  """The fields read here; every config of a decoder has them."""

  @property
  def depth(self) -> int: ...
  @property
  def tied(self) -> bool: ...
  @property
  def task(self) -> str: ...


def prefix(names: Iterable[str], anchor: str, usual: str) -> str:
  """Returns what stands before the decoder's names.

  Args:
    names: all names of the source; none for what a task's model saves today.
    anchor: the one name that every such file has, without a prefix.
    usual: the prefix in the file of a task's model.

  Raises:
    UserError: if the anchor is not there once.

  >>> prefix(["model.embed_tokens.weight"], "embed_tokens.weight", "model.")
  'model.'
  """
  names = list(names)
  if not names:
    return usual
  found = [n for n in names if n == anchor or n.endswith("." + anchor)]
  if len(found) != 1:
    raise UserError(
      "the file is no decoder in the layout of transformers:"
      f" {len(found)} of its {len(names)} tensors are called [...]{anchor},"
      f" expected one. They begin with {', '.join(names[:3])}."
    )
  return found[0].removesuffix(anchor)


def head(config: Config, beside: str) -> dict[str, Entry]:
  """Returns the entry of the head: none where words are tied.

  Args:
    config: of the model.
    beside: the prefix of what stands beside the decoder.
  """
  kernel = "params/head/kernel"
  if config.task == "classification":
    return {kernel: Entry(f"{beside}score.weight", "dense")}
  if config.tied:
    return {}
  return {kernel: Entry(f"{beside}lm_head.weight", "dense")}


def dropped(config: Config) -> Rules:
  """Returns what a config never needs: other tasks' heads, constants.

  Args:
    config: of the model.
  """
  if config.task == "lm":
    return (CONSTANTS, (r"(.*\.)?score\..*", "a classifier: the task is 'lm'"))
  reason = "the words' scores: the task is 'classification'"
  return (CONSTANTS, (r"(.*\.)?lm_head\..*", reason))


def check(config: Config, shapes: Iterable[str]) -> None:
  """Says what to do where a source holds a classifier and nobody says so.

  Raises:
    UserError: if the config asks for words that the source does not score.
  """
  names = list(shapes)
  scored = any(name.endswith("score.weight") for name in names)
  words = any(name.endswith("lm_head.weight") for name in names)
  if scored and not words and config.task == "lm":
    raise UserError(
      "the source is a classifier of texts (it has score.weight): load it with"
      ' task="classification", or with num_classes=0 and that task.'
    )
