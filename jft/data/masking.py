"""Masked language modelling: some tokens are hidden, to be told from the rest.

Which ones is a pure function of the seed, the epoch and the row: every epoch
hides others, evaluation always the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jft.data.chat import rendered
from jft.data.examples import Map
from jft.data.source import Source, where
from jft.data.text import Tokenizer
from jft.data.token_rows import Row, RowExamples, TokenRows
from jft.errors import UserError
from jft.rng import generator
from jft.typing import IGNORED, Batch

_MASKS = ("[MASK]", "<mask>")
_CHUNK = 1000
_HIDDEN, _RANDOM = 0.8, 0.9  # Shares: hidden, another word, and as it is.


@dataclass(frozen=True)
class Masking:
  """How tokens are hidden.

  Attributes:
    probability: the share of a text's own tokens that is asked.
    mask_id: what stands in the place of four out of five of these; one out of
      ten is another word, and one as it is.
    words: how many there are to draw from.
    seed: of the run.
  """

  probability: float
  mask_id: int
  words: int
  seed: int

  def hide(
    self, ids: np.ndarray, own: np.ndarray, index: int, epoch: int | None
  ) -> tuple[np.ndarray, np.ndarray]:
    """Returns Int32[n], what is read, and Int32[n], what is asked.

    Args:
      ids: Int32[n].
      own: Bool[n], false for the tokenizer's special tokens.
      index: of the row in its source.
      epoch: None in evaluation.

    Source: Devlin et al., 2019 (arXiv:1810.04805), section 3.1, drawn anew in
    every epoch as by Liu et al., 2019 (arXiv:1907.11692), section 4.1; the
    shares of transformers' `DataCollatorForLanguageModeling`.
    """
    if epoch is None:
      draw = generator(self.seed, "mask in evaluation", index)
    else:
      draw = generator(self.seed, "mask", epoch, index)
    asked = (draw.random(len(ids)) < self.probability) & own
    turn = draw.random(len(ids))
    other = draw.integers(self.words, size=len(ids), dtype=np.int32)
    read = np.where(turn < _RANDOM, other, ids)
    read = np.where(turn < _HIDDEN, np.int32(self.mask_id), read)
    return np.where(asked, read, ids), np.where(asked, ids, np.int32(IGNORED))


def make_masking(
  tokenizer: Tokenizer, probability: float, seed: int
) -> Masking:
  """Returns the masking of a tokenizer's texts.

  Args:
    tokenizer: with a mask token.
    probability: the share of tokens that is asked, between 0 and 1.
    seed: of the run.

  Raises:
    UserError: if it has no mask token, or for another probability.
  """
  if not 0 < probability < 1:
    raise UserError(f"the masked share must be in (0, 1), got {probability}.")
  found = (tokenizer.encoder.token_to_id(name) for name in _MASKS)
  mask_id = next((i for i in found if i is not None), None)
  if mask_id is None:
    raise UserError(
      f"the tokenizer has no mask token ({' or '.join(_MASKS)}); a model with"
      " such a tokenizer was pretrained by masking."
    )
  words = tokenizer.encoder.get_vocab_size(with_added_tokens=True)
  return Masking(probability, mask_id, words, seed)


def masked_rows(
  source: Source, tokenizer: Tokenizer, masking: Masking
) -> TokenRows:
  """Tokenizes documents once, into rows that `masking` will hide tokens of.

  A text that is too long goes on in the next row; every row has the
  tokenizer's special tokens around it.

  Args:
    source: of documents.
    tokenizer: of the model.
    masking: what hides tokens.

  Raises:
    UserError: for a document without a token of its own.
  """
  rows: list[Row] = []
  for start in range(0, len(source), _CHUNK):
    stop = min(start + _CHUNK, len(source))
    texts = [rendered(source[i], None).text for i in range(start, stop)]
    for i, made in enumerate(tokenizer.encoder.encode_batch(texts), start):
      pieces = [_row(piece) for piece in (made, *made.overflowing)]
      if not any((piece.label != IGNORED).any() for piece in pieces):
        raise UserError(f"{where(source, i)} has no token to hide.")
      rows += pieces
  return TokenRows(
    rows,
    source.name,
    len(source),
    cut=0,
    pad_id=tokenizer.pad_id,
    packed=False,
    masking=masking,
  )


def _row(encoding) -> Row:
  ids = np.array(encoding.ids, np.int32)
  special = np.array(encoding.special_tokens_mask, bool)
  n = len(ids)
  return Row(
    ids,
    np.where(special, np.int32(IGNORED), ids),
    np.ones(n, np.int32),
    np.arange(n, dtype=np.int32),
  )


class MaskedExamples(RowExamples):
  """Rows of tokens, some of which are hidden where they are taken."""

  def take(
    self,
    indices: np.ndarray,
    length: int | None = None,
    run: Map = map,
    epochs: np.ndarray | None = None,
  ) -> Batch:
    """Returns ids, mask and labels, Int32[b n]; no epochs: as evaluated."""
    batch = super().take(indices, length, run, epochs)
    passes: Sequence[int | None] = [None] * len(indices)
    if epochs is not None:
      passes = epochs.tolist()
    for b, (i, epoch) in enumerate(zip(indices.tolist(), passes, strict=True)):
      row = self._rows[i]
      n, own = len(row.ids), row.label != IGNORED
      batch["input_ids"][b, :n], batch["label"][b, :n] = (
        self._source.masking.hide(row.ids, own, i, epoch)
      )
    return batch
