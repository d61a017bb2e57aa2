"""Encoded examples by index: made once where they fit into memory."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from jft.data.labels import check_label
from jft.data.source import Source
from jft.data.text import Tokenizer
from jft.errors import UserError
from jft.typing import Batch

Encode = Callable[[Mapping[str, Any]], Mapping[str, Any]]
Map = Callable[[Callable[[int], Batch], Iterable[int]], Iterable[Batch]]

_OURS = frozenset({"label", "mask", "id"})
_CHUNK = 1000


class FixedExamples:
  """Examples of one shape, such as images, encoded when first asked for."""

  lengths: np.ndarray | None = None

  def __init__(self, source: Source, encode: Encode, cache_mb: float):
    self._source, self._encode = source, encode
    first = self._row(0)
    self.labelled = "label" in first
    self._shapes = {key: value.shape for key, value in first.items()}
    size = sum(value.nbytes for value in first.values()) * len(source)
    self.cached = size <= cache_mb * 2**20
    # The pages of an empty array take no memory until they are written.
    self._columns = {
      key: np.empty((len(source) * self.cached, *value.shape), value.dtype)
      for key, value in first.items()
    }
    self._filled = np.zeros(len(source), bool)

  def take(
    self, indices: np.ndarray, length: int | None = None, run: Map = map
  ) -> Batch:
    """Returns the stacked inputs, and labels where the source has them.

    Args:
      indices: Int[b].
      length: not used; of `TokenExamples`.
      run: `map`, or that of a pool, to encode on several threads.
    """
    if not self.cached:
      rows = list(run(self._row, map(int, indices)))
      return {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    missing = np.unique(indices[~self._filled[indices]])
    for i, row in zip(missing, run(self._row, map(int, missing)), strict=True):
      for key, value in row.items():
        self._columns[key][i] = value
      self._filled[i] = True
    return {
      key: np.take(column, indices, axis=0)
      for key, column in self._columns.items()
    }

  def _row(self, i: int) -> Batch:
    try:
      example = self._source[i]
      row = {k: np.asarray(v) for k, v in self._encode(example).items()}
    except UserError as error:
      raise UserError(f"example {i} of {self._source.name}: {error}") from error
    except Exception as error:
      error.add_note(f"in example {i} of {self._source.name}")
      raise
    if taken := _OURS & row.keys():
      raise UserError(f"encode may not return {sorted(taken)}; inputs only.")
    if "label" in example:
      label = check_label(example["label"], i, self._source)
      row["label"] = np.asarray(label, np.int32)
    shapes = {key: value.shape for key, value in row.items()}
    if i and shapes != self._shapes:
      raise UserError(
        f"example {i} of {self._source.name} has shapes {shapes}, but example"
        f" 0 has {self._shapes}; encode must return one shape for all."
      )
    return row


class TokenExamples:
  """Texts, tokenized once, kept end to end without padding."""

  cached = True

  def __init__(self, source: Source, tokenizer: Tokenizer):
    self._pad_id = tokenizer.pad_id
    ids, types, labels = [], [], []
    for start in range(0, len(source), _CHUNK):
      stop = min(start + _CHUNK, len(source))
      examples = [source[i] for i in range(start, stop)]
      for encoded in _tokenize(examples, tokenizer, source, start):
        ids.append(encoded["input_ids"])
        types.append(encoded["token_type_ids"])
      labels += [
        check_label(example["label"], start + i, source)
        for i, example in enumerate(examples)
        if "label" in example
      ]
    self.lengths = np.array([len(row) for row in ids])
    self._starts = np.cumsum(self.lengths) - self.lengths
    self._ids, self._types = np.concatenate(ids), np.concatenate(types)
    self.labelled = bool(labels)
    self._labels = np.array(labels, np.int32)
    if labels and len(labels) != len(source):
      raise UserError(
        f"{source.name}: {len(labels)} of {len(source)} examples have a label;"
        " expected all or none."
      )

  def take(
    self, indices: np.ndarray, length: int | None = None, run: Map = map
  ) -> Batch:
    """Returns ids, types and attention mask padded to `length` tokens."""
    longest = int(self.lengths[indices].max())
    columns = np.arange(longest if length is None else length)
    real = columns < self.lengths[indices][:, None]
    where = np.where(real, self._starts[indices][:, None] + columns, 0)
    batch = {
      "input_ids": np.where(real, self._ids[where], np.int32(self._pad_id)),
      "attention_mask": real.astype(np.int32),
      "token_type_ids": np.where(real, self._types[where], np.int32(0)),
    }
    if self.labelled:
      batch["label"] = self._labels[indices]
    return batch


def _tokenize(
  examples: list[dict[str, Any]],
  tokenizer: Tokenizer,
  source: Source,
  start: int,
) -> list[dict[str, np.ndarray]]:
  for i, example in enumerate(examples, start):
    for key in ("text", "text_pair"):
      value = example.get(key, "" if key == "text_pair" else None)
      if not isinstance(value, str):
        raise UserError(
          f'example {i} of {source.name}: a tokenizer reads a string "{key}",'
          f" got {value!r} among {sorted(example)}."
        )
  pairs = None
  if "text_pair" in examples[0]:
    pairs = [example["text_pair"] for example in examples]
  return tokenizer.encode_batch([e["text"] for e in examples], pairs)
