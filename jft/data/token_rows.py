"""Documents as rows of tokens, each with the token that shall follow it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tokenizers

from jft.data.chat import Rendered, Template, rendered
from jft.data.examples import Map
from jft.data.source import Source, origin, where
from jft.data.text import Tokenizer
from jft.errors import UserError
from jft.typing import IGNORED, Batch

_CHUNK = 1000


@dataclass(frozen=True)
class Row:
  """Tokens in a row, each with the one that shall follow.

  Attributes:
    ids: Int32[n].
    label: Int32[n], `IGNORED` where nothing is asked.
    segment: Int32[n], which document a token is of, from 1.
    position: Int32[n], its place in that document, from 0.
  """

  ids: np.ndarray
  label: np.ndarray
  segment: np.ndarray
  position: np.ndarray


@dataclass(frozen=True, eq=False)
class TokenRows:
  """A source of {"input_ids", "label", ...}; made by `token_rows`.

  Attributes:
    rows: in order.
    name: of the source that they were made of.
    documents: how many there were; cut: of which so many were too long, and
      lost their end.
    pad_id: fills up a batch.
    packed: whether a row holds several documents.
    masking: what hides tokens, `masking.Masking`; None asks the next one.
  """

  rows: Sequence[Row]
  name: str
  documents: int
  cut: int
  pad_id: int
  packed: bool
  label_names: tuple[str, ...] | None = None
  label_kind: str = "document"
  masking: Any = None

  def __len__(self) -> int:
    return len(self.rows)

  def __getitem__(self, i: int) -> dict[str, Any]:
    row = self.rows[i]
    return {"input_ids": row.ids, "label": row.label}

  @property
  def tokens(self) -> int:
    """How many there are."""
    return sum(len(row.ids) for row in self.rows)

  @property
  def asked(self) -> int:
    """How many of them are to be learnt; of hidden ones in an epoch, about."""
    count = sum(int((row.label != IGNORED).sum()) for row in self.rows)
    return round(count * self.masking.probability) if self.masking else count


def token_rows(
  source: Source,
  tokenizer: Tokenizer,
  *,
  template: Template | None = None,
  packing: bool = False,
) -> TokenRows:
  """Tokenizes documents once, into rows of `max_length` tokens at most.

  A token's label is the next one of its document, where that is part of what
  the model shall write; a document ends with the tokenizer's end token, which
  is asked as well. A plain text that is too long goes on in the next row, and
  every one of its tokens is asked once; a conversation loses its end.

  Args:
    source: of documents.
    tokenizer: with an end token, for texts that have no template.
    template: for conversations; None joins their turns.
    packing: fill rows with several documents, each a segment of its own with
      positions from 0. Which ones share a row depends on lengths alone.

  Raises:
    UserError: for a conversation of which nothing is left to learn, or a
      tokenizer without an end token.
  """
  rows: list[Row] = []
  cut = 0
  for start in range(0, len(source), _CHUNK):
    stop = min(start + _CHUNK, len(source))
    texts = [_rendered(source, i, template) for i in range(start, stop)]
    for i, (text, ids, asked) in enumerate(_encoded(texts, tokenizer), start):
      pieces = _cut(ids, asked, tokenizer.max_length, one=not text.plain)
      if not any((piece.label != IGNORED).any() for piece in pieces):
        raise UserError(
          f"{where(source, i)}: the answer begins after"
          f" data.max_length={tokenizer.max_length} of the {len(ids)} tokens:"
          " nothing of it would be learnt. Raise it, or take the document out."
        )
      cut += not text.plain and len(ids) > tokenizer.max_length + 1
      rows += pieces
  if packing:
    rows = packed(rows, tokenizer.max_length)
  return TokenRows(
    rows, source.name, len(source), cut, tokenizer.pad_id, packing
  )


def _rendered(source: Source, i: int, template: Template | None) -> Rendered:
  try:
    return rendered(source[i], template)
  except UserError as error:
    raise UserError(f"{where(source, i)}: {error}") from error


def _encoded(
  texts: Sequence[Rendered], tokenizer: Tokenizer
) -> list[tuple[Rendered, np.ndarray, np.ndarray]]:
  """Returns each text, its ids Int32[n] and what is asked, Bool[n]."""
  found = {}
  for special in (False, True):
    which = [i for i, text in enumerate(texts) if text.special == special]
    given = [texts[i].text for i in which]
    made = tokenizer.encode_whole(given, special=not special)
    found |= dict(zip(which, made, strict=True))
  return [
    (text, *_asked(text, found[i], tokenizer)) for i, text in enumerate(texts)
  ]


def _asked(
  text: Rendered, encoding: tokenizers.Encoding, tokenizer: Tokenizer
) -> tuple[np.ndarray, np.ndarray]:
  ids = np.array(encoding.ids, np.int32)
  # [n 2]; special tokens that the tokenizer added have none: (0, 0).
  ends = np.array(encoding.offsets, np.int64).reshape(-1, 2)
  asked = np.zeros(len(ids), bool)
  for start, stop in text.asked:
    asked |= (ends[:, 0] < stop) & (ends[:, 1] > start)
  if text.special:
    return ids, asked
  if tokenizer.eos_id is None:
    raise UserError(
      "the tokenizer names no token that ends a text; say it in"
      " data.eos_token, such as '<|endoftext|>'."
    )
  if len(ids) and ids[-1] == tokenizer.eos_id:  # its own post-processor's
    ids, asked = ids[:-1], asked[:-1]
  return np.append(ids, np.int32(tokenizer.eos_id)), np.append(asked, True)


def _cut(
  ids: np.ndarray, asked: np.ndarray, most: int, *, one: bool
) -> list[Row]:
  """Returns rows whose labels are the next tokens; the last has none to read.

  Args:
    ids, asked: of a document.
    most: tokens of a row.
    one: keep the first row alone.
  """
  label = np.where(asked, ids, np.int32(IGNORED))
  starts = range(0, max(len(ids) - 1, 1), most)
  rows = []
  for start in [0] if one else starts:
    stop = min(start + most, len(ids) - 1)
    n = stop - start
    rows.append(
      Row(
        ids[start:stop],
        label[start + 1 : stop + 1],
        np.ones(n, np.int32),
        np.arange(n, dtype=np.int32),
      )
    )
  return rows


def packed(rows: Sequence[Row], most: int) -> list[Row]:
  """Joins rows, so that few are left: the longest first, where it fits best.

  Args:
    rows: of one document each.
    most: tokens of a row.

  Source: best-fit decreasing; Ding et al., arXiv:2404.10830.
  """
  order = sorted(range(len(rows)), key=lambda i: -len(rows[i].ids))
  by_room: dict[int, list[int]] = {}  # {tokens left: bins}
  bins: list[list[int]] = []
  for i in order:
    need = len(rows[i].ids)
    room = next((r for r in range(need, most + 1) if by_room.get(r)), None)
    if room is None:
      bins.append([])
      number, room = len(bins) - 1, most
    else:
      number = by_room[room].pop()
    bins[number].append(i)
    by_room.setdefault(room - need, []).append(number)
  return [_joined([rows[i] for i in sorted(held)]) for held in bins]


def _joined(rows: Sequence[Row]) -> Row:
  return Row(
    np.concatenate([row.ids for row in rows]),
    np.concatenate([row.label for row in rows]),
    np.concatenate(
      [np.full(len(row.ids), i, np.int32) for i, row in enumerate(rows, 1)]
    ),
    np.concatenate([row.position for row in rows]),
  )


class RowExamples:
  """Rows of tokens, padded where they are taken."""

  cached = True
  labelled = True

  def __init__(self, source: Source):
    picked = [origin(source, i) for i in range(len(source))]
    self._source: Any = picked[0][0]
    self._rows = [self._source.rows[i] for _, i in picked]
    self.lengths = np.array([len(row.ids) for row in self._rows])

  def take(
    self,
    indices: np.ndarray,
    length: int | None = None,
    run: Map = map,
    epochs: np.ndarray | None = None,
  ) -> Batch:
    """Returns ids, mask and labels, Int32[b n]; of packed rows also
    `segment_ids` and `positions`."""
    width = int(self.lengths[indices].max()) if length is None else length
    batch = {
      "input_ids": np.full(
        (len(indices), width), self._source.pad_id, np.int32
      ),
      "attention_mask": np.zeros((len(indices), width), np.int32),
      "label": np.full((len(indices), width), IGNORED, np.int32),
    }
    if self._source.packed:
      batch["segment_ids"] = np.zeros((len(indices), width), np.int32)
      batch["positions"] = np.zeros((len(indices), width), np.int32)
    for b, row in enumerate(self._rows[i] for i in indices):
      values = {
        "input_ids": row.ids,
        "attention_mask": 1,
        "label": row.label,
        "segment_ids": row.segment,
        "positions": row.position,
      }
      for name, filled in batch.items():
        filled[b, : len(row.ids)] = values[name]
    return batch
