"""Sentences of too many tokens, read in parts of whole words."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jft.data.source import Source
from jft.data.text import Tokenizer

_CHUNK = 1000


@dataclass(frozen=True, eq=False)
class Windows:
  """A view of a source of words, with a row for each part of a sentence.

  Attributes:
    source: of sentences.
    rows: Int["n 4"], of each part the sentence, its first word, one past its
      last one, and which part of the sentence it is.
  """

  source: Source
  rows: np.ndarray
  label_kind: str = "tags"

  @property
  def name(self) -> str:
    return self.source.name

  @property
  def label_names(self) -> tuple[str, ...] | None:
    return self.source.label_names

  @property
  def cut(self) -> int:
    """How many sentences are in more than one part."""
    return int((self.rows[:, 3] == 1).sum())

  def __len__(self) -> int:
    return len(self.rows)

  def __getitem__(self, i: int) -> dict[str, Any]:
    sentence, start, stop, part = self.rows[i].tolist()
    example = self.source[sentence]
    return {
      "words": example["words"][start:stop],
      "label": example["label"][start:stop],
      "part": part,
    }


def windows(source: Source, tokenizer: Tokenizer) -> Source:
  """Returns the source, its long sentences cut so that nothing is left out.

  A part holds as many whole words as the tokenizer's `max_length` allows; of a
  single word with more tokens the rest is not read. A source that needs no cut
  is returned as it is.
  """
  rows = []
  for start in range(0, len(source), _CHUNK):
    stop = min(start + _CHUNK, len(source))
    words = [source[i]["words"] for i in range(start, stop)]
    for i, counts in enumerate(tokenizer.count_tokens(words), start):
      rows += [
        (i, *ends, part)
        for part, ends in enumerate(_parts(counts, tokenizer.room))
      ]
  if len(rows) == len(source):
    return source
  return Windows(source, np.array(rows))


def _parts(counts: np.ndarray, room: int) -> list[tuple[int, int]]:
  """Cuts words of so many tokens into parts of at most `room` tokens.

  >>> _parts(np.array([2, 2, 1, 9, 1]), 4)
  [(0, 2), (2, 3), (3, 4), (4, 5)]
  """
  parts, start, used = [], 0, 0
  for i, count in enumerate(np.minimum(counts, room).tolist()):
    if used + count > room:
      parts.append((start, i))
      start, used = i, 0
    used += count
  return [*parts, (start, len(counts))]
