"""Tokenized texts by index, kept end to end without padding."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jft.data.checked import checked
from jft.data.examples import Augment, Map
from jft.data.source import Source
from jft.data.text import Tokenizer
from jft.errors import UserError
from jft.rng import generator
from jft.typing import IGNORED, Batch

_CHUNK = 1000
TEXTS = ("text", "text_pair", "negative")
"""What an example's texts are called; the last is one of a third kind."""


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
  """Rows of tokens of any length, end to end."""

  ids: np.ndarray
  types: np.ndarray
  lengths: np.ndarray

  @classmethod
  def of(cls, encoded: Sequence[Mapping[str, np.ndarray]]) -> "Rows":
    """Joins what `Tokenizer.encode_batch` returns."""
    return cls(
      np.concatenate([row["input_ids"] for row in encoded]),
      np.concatenate([row["token_type_ids"] for row in encoded]),
      np.array([len(row["input_ids"]) for row in encoded]),
    )

  def places(
    self, indices: np.ndarray, length: int
  ) -> tuple[np.ndarray, np.ndarray]:
    """Returns Bool[b n], is a token there, and Int[b n], which one."""
    starts = np.cumsum(self.lengths) - self.lengths
    columns = np.arange(length)
    real = columns < self.lengths[indices][:, None]
    return real, np.where(real, starts[indices][:, None] + columns, 0)

  def row(self, index: int) -> dict[str, np.ndarray]:
    """Returns one row's ids and types, without padding."""
    start = int(self.lengths[:index].sum())
    part = slice(start, start + int(self.lengths[index]))
    return {"input_ids": self.ids[part], "token_type_ids": self.types[part]}

  def padded(self, indices: np.ndarray, length: int, pad_id: int) -> Batch:
    """Returns ids, attention mask and types, Int32[b n]."""
    real, where = self.places(indices, length)
    return {
      "input_ids": np.where(real, self.ids[where], np.int32(pad_id)),
      "attention_mask": real.astype(np.int32),
      "token_type_ids": np.where(real, self.types[where], np.int32(0)),
    }


class TokenExamples:
  """Texts, tokenized once; with `augment` each time that they are taken.

  Of texts that are read apart, two or three an example, ids, mask and types are
  Int32[b s n], an example is as long as its longest text, and `texts` is
  UInt32[b s 2], two numbers that only equal texts share. Of words the
  label is Int32[b n], -1 where a token is no word's first, and `part` is
  Int32[b], which part of a sentence it is.
  """

  cached = True

  def __init__(
    self,
    source: Source,
    tokenizer: Tokenizer,
    augment: Augment | None = None,
    seed: int = 0,
  ):
    self._source, self._tokenizer = source, tokenizer
    self._augment, self._seed = augment, seed
    self._pad_id = tokenizer.pad_id
    self._words = tokenizer.reads == "words"
    sides: list[list[dict[str, np.ndarray]]] = []
    labels: list[np.ndarray] = []
    parts: list[int] = []
    for start in range(0, len(source), _CHUNK):
      stop = min(start + _CHUNK, len(source))
      examples = [source[i] for i in range(start, stop)]
      encoded = _tokenize(examples, tokenizer, source, start)
      sides = sides or [[] for _ in encoded]
      for side, more in zip(sides, encoded, strict=True):
        side += more
      labels += [
        checked(example["label"], start + i, source)
        for i, example in enumerate(examples)
        if "label" in example
      ]
      parts += [example.get("part", 0) for example in examples]
    self._texts = _fingerprints(source) if tokenizer.reads == "apart" else None
    self._sides = [Rows.of(side) for side in sides]
    self.lengths = np.max([side.lengths for side in self._sides], axis=0)
    self.labelled = bool(labels)
    if labels and len(labels) != len(source):
      raise UserError(
        f"{source.name}: {len(labels)} of {len(source)} examples have a label;"
        " expected all or none."
      )
    if self._words:
      labels = [
        _aligned(label, row["first"], i, source)
        for i, (label, row) in enumerate(zip(labels, sides[0], strict=True))
      ]
    self._labels = np.concatenate(labels) if self._words else np.array(labels)
    self._parts = np.array(parts, np.int32)

  def take(
    self,
    indices: np.ndarray,
    length: int | None = None,
    run: Map = map,
    epochs: np.ndarray | None = None,
  ) -> Batch:
    """Returns ids, types and attention mask padded to `length` tokens."""
    width = int(self.lengths[indices].max()) if length is None else length
    made = (
      [(side, indices) for side in self._sides]
      if self._augment is None or epochs is None
      else self._anew(self._augment, indices, epochs, width)
    )
    sides = [side.padded(at, width, self._pad_id) for side, at in made]
    batch = sides[0]
    if len(sides) > 1:
      batch = {key: np.stack([s[key] for s in sides], axis=1) for key in batch}
    if self._texts is not None:
      batch["texts"] = self._texts[indices]
    if self._words:
      real, where = self._sides[0].places(indices, width)
      batch["label"] = np.where(real, self._labels[where], np.int32(IGNORED))
      batch["part"] = self._parts[indices]
    elif self.labelled:
      batch["label"] = self._labels[indices]
    return batch

  def _anew(
    self,
    augment: Augment,
    indices: np.ndarray,
    epochs: np.ndarray,
    width: int,
  ) -> list[tuple[Rows, np.ndarray]]:
    """Returns the texts' sides, augmented where they fit, and 0 to b-1."""
    examples = []
    for i, epoch in zip(indices.tolist(), epochs.tolist(), strict=True):
      draw = generator(self._seed, "augment", epoch, i)
      example = self._source[i]
      texts = [key for key in TEXTS if key in example]
      changed = {key: augment(example[key], draw) for key in texts}
      examples.append({**example, **changed})
    encoded = _tokenize(examples, self._tokenizer, self._source, 0)
    rows = [
      [
        new if len(new["input_ids"]) <= width else side.row(i)
        for new, i in zip(news, indices.tolist(), strict=True)
      ]
      for news, side in zip(encoded, self._sides, strict=True)
    ]
    at = np.arange(len(indices))
    return [(Rows.of(side), at) for side in rows]


def _fingerprints(source: Source) -> np.ndarray:
  """Returns UInt32[n s 2], the first 64 bits of a hash of each text."""
  hashes = [
    [
      hashlib.blake2b(str(example[key]).encode(), digest_size=8).digest()
      for key in TEXTS
      if key in example
    ]
    for example in (source[i] for i in range(len(source)))
  ]
  joined = np.frombuffer(b"".join(map(b"".join, hashes)), np.dtype("<u4"))
  return joined.astype(np.uint32).reshape(len(source), -1, 2)


def _aligned(
  label: np.ndarray, first: np.ndarray, index: int, source: Source
) -> np.ndarray:
  """Returns a word's tag at its first token, -1 elsewhere."""
  read = int(first.max()) + 1
  if read > len(label):
    raise UserError(
      f"example {index} of {source.name}: {len(label)} tags for {read} or more"
      " words; each word has one."
    )
  if read < len(label):
    raise UserError(
      f"example {index} of {source.name}: {read} of its {len(label)} words are"
      " read, the rest is too long; read the source through data.windows."
    )
  return np.where(first >= 0, label[np.maximum(first, 0)], np.int32(IGNORED))


def _tokenize(
  examples: list[dict[str, Any]],
  tokenizer: Tokenizer,
  source: Source,
  start: int,
) -> list[list[dict[str, np.ndarray]]]:
  """Returns the encoded texts, or of pairs read apart the first and second."""
  if tokenizer.reads == "words":
    return [tokenizer.encode_words(_words(examples, source, start))]
  apart = tokenizer.reads == "apart"
  third = apart and "negative" in examples[0]
  for i, example in enumerate(examples, start):
    for key in TEXTS if third else TEXTS[:2]:
      needed = key == "text" or apart
      value = example.get(key, None if needed else "")
      if not isinstance(value, str):
        raise UserError(
          f'example {i} of {source.name}: a tokenizer reads a string "{key}",'
          f" got {value!r} among {sorted(example)}."
        )
  if apart:
    keys = TEXTS if third else TEXTS[:2]
    sides = ([example[key] for example in examples] for key in keys)
    return [tokenizer.encode_batch(side) for side in sides]
  texts, pairs = [e["text"] for e in examples], None
  if "text_pair" in examples[0]:
    pairs = [example["text_pair"] for example in examples]
  return [tokenizer.encode_batch(texts, pairs)]


def _words(
  examples: list[dict[str, Any]], source: Source, start: int
) -> list[tuple[str, ...]]:
  for i, example in enumerate(examples, start):
    found = example.get("words")
    if (
      not isinstance(found, tuple | list) or not found or "label" not in example
    ):
      raise UserError(
        f'example {i} of {source.name}: token classification reads "words" and'
        f' their "label", got {sorted(example)} with the words {found!r}.'
      )
  return [tuple(example["words"]) for example in examples]
