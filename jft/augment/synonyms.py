"""Other words for the words of a text, on the host, before tokenizing."""

import re
import types

import numpy as np

from jft.errors import UserError
from jft.typing import Callable, Mapping, Sequence

_WORD = re.compile(r"\w+(?:['’-]\w+)*")

Synonyms = Mapping[str, tuple[str, ...]]


def read(lines: Sequence[str]) -> Synonyms:
  """Reads lines of a word, a tab and its synonyms, with tabs between.

  Args:
    lines: empty ones are left out; a word may have several lines.

  Raises:
    UserError: for a line without a tab, or with nothing between two.

  >>> dict(read(["good\\tfine\\tgreat", "", "Good\\tnice"]))
  {'good': ('fine', 'great', 'nice')}
  """
  found: dict[str, tuple[str, ...]] = {}
  for number, line in enumerate(lines, 1):
    word, *others = (part.strip() for part in line.split("\t"))
    if not line.strip():
      continue
    if not word or not others or not all(others):
      raise UserError(
        f"line {number}, {line[:60]!r}: expected a word, a tab and a synonym;"
        " more synonyms follow after further tabs."
      )
    found[word.lower()] = (*found.get(word.lower(), ()), *others)
  if not found:
    raise UserError("no word and synonym in it.")
  return types.MappingProxyType(found)


def replace(
  synonyms: Synonyms, share: float
) -> Callable[[str, np.random.Generator], str]:
  """Returns (text, draw) -> a text, some of its words replaced.

  Args:
    synonyms: of words in lower case; a synonym that stands for a word with a
      capital begins with one.
    share: of the words that have a synonym, the probability of each.

  Source: Wei and Zou, 2019, "EDA" (arXiv:1901.11196), its first operation.

  >>> change = replace({"good": ("fine",)}, 1.0)
  >>> change("Good, not goods.", np.random.default_rng(0))
  'Fine, not goods.'
  """

  def augment(text: str, draw: np.random.Generator) -> str:
    def one(match: re.Match[str]) -> str:
      word = match[0]
      others = synonyms.get(word.lower(), ())
      if not others or draw.random() >= share:
        return word
      new = others[int(draw.integers(len(others)))]
      return new[:1].upper() + new[1:] if word[:1].isupper() else new

    return _WORD.sub(one, text)

  return augment
