"""Are the texts there, whole, and in the tokenizer's language?"""

import dataclasses
import json

import numpy as np
import tokenizers

from jft.data import TEXTS, Tokenizer
from jft.data.source import where
from jft.preflight.finding import Finding, percent, some
from jft.typing import Any, Mapping

UNKNOWN = 0.05
"""A share of unknown tokens above this is told."""
CUT = 0.05
"""A share of texts that are cut above this is told."""
_CHUNK = 1000


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
  """What one pass over a split's texts found.

  Attributes:
    index: Int64[n] in the source.
    texts: the n texts, both of a pair joined.
    empty: Bool[n], nothing but white space (in one of a pair).
    tokens: Int64[n], before any cut.
    unknown: Int64[n], tokens that the tokenizer does not know.
  """

  index: np.ndarray
  texts: list[str]
  empty: np.ndarray
  tokens: np.ndarray
  unknown: np.ndarray


def survey(source: Any, index: np.ndarray, tokenizer: Tokenizer) -> Seen:
  """Reads and tokenizes these texts once, without cutting them."""
  whole = tokenizer.uncut
  unknown_id = _unknown_id(whole)
  texts, empty, tokens, unknown = [], [], [], []
  for start in range(0, len(index), _CHUNK):
    rows = [source[int(i)] for i in index[start : start + _CHUNK]]
    parts = [_texts(row) for row in rows]
    if tokenizer.reads == "words":
      given = [list(row["words"]) for row in rows]
      read = [[x] for x in whole.encode_batch(given, is_pretokenized=True)]
    elif tokenizer.reads == "apart":
      read = [whole.encode_batch(list(p)) for p in parts]
    else:
      given = [p if len(p) == 2 else p[0] for p in parts]
      read = [[encoding] for encoding in whole.encode_batch(given)]
    for row in read:
      tokens.append(max(len(encoding.ids) for encoding in row))
      unknown.append(
        sum(token == unknown_id for encoding in row for token in encoding.ids)
      )
    texts += ["\t".join(p) for p in parts]
    empty += [not all(text.strip() for text in p) for p in parts]
  return Seen(
    index,
    texts,
    np.array(empty, bool),
    np.array(tokens, np.int64),
    np.array(unknown, np.int64),
  )


def _texts(row: Mapping[str, Any]) -> tuple[str, ...]:
  if "words" in row:
    return (" ".join(row["words"]),)
  return tuple(row[key] for key in TEXTS if key in row)


def check(
  sources: Mapping[str, Any],
  seen: Mapping[str, Seen],
  max_length: int | None,
) -> list[Finding]:
  """Judges the texts of all splits.

  Args:
    sources: {split: source}.
    seen: {split: its survey}.
    max_length: tokens that the model gets; None: what is longer goes on in
      another row.
  """
  found = [*_empty(sources, seen), *_cut(seen, max_length), *_unknown(seen)]
  if all(f.level == "note" for f in found):
    tokens = np.concatenate([s.tokens for s in seen.values()])
    unknown = sum(int(s.unknown.sum()) for s in seen.values())
    found.insert(
      0,
      Finding(
        "texts",
        "ok",
        f"{len(tokens):,} texts of {tokens.min()} to {tokens.max()} tokens,"
        f" {np.median(tokens):g} in the middle;"
        f" {percent(unknown, int(tokens.sum()))} unknown.",
        {"count": len(tokens), "tokens": int(tokens.sum())},
      ),
    )
  return found


def _empty(
  sources: Mapping[str, Any], seen: Mapping[str, Seen]
) -> list[Finding]:
  names = [
    where(sources[split], int(i))
    for split, s in seen.items()
    for i in s.index[s.empty]
  ]
  if not names:
    return []
  total = sum(len(s.index) for s in seen.values())
  return [
    Finding(
      "texts",
      "warning",
      f"{len(names):,} of {total:,} texts ({percent(len(names), total)}) are"
      f" empty: {some(names)}. Take them out, and see whether data.text_column"
      " is the right one.",
      {"count": len(names), "texts": names[:100]},
    )
  ]


def _cut(seen: Mapping[str, Seen], max_length: int | None) -> list[Finding]:
  if max_length is None:
    return []
  tokens = np.concatenate([s.tokens for s in seen.values()])
  cut = int((tokens > max_length).sum())
  if not cut:
    return []
  enough = int(np.ceil(np.quantile(tokens, 0.99)))
  share = cut / len(tokens)
  advice = ""
  if enough > max_length:
    advice = f"; data.max_length={enough} would cut 1 %"
  return [
    Finding(
      "texts",
      "warning" if share > CUT else "note",
      f"{cut:,} of {len(tokens):,} texts ({percent(cut, len(tokens))}) are cut"
      f" at data.max_length={max_length}; the longest has {tokens.max():,}"
      f" tokens{advice}.",
      {
        "count": cut,
        "share": share,
        "max_length": max_length,
        "length_for_99_percent": enough,
      },
    )
  ]


def _unknown(seen: Mapping[str, Seen]) -> list[Finding]:
  shares = {
    split: float(s.unknown.sum() / max(1, s.tokens.sum()))
    for split, s in seen.items()
  }
  high = {split: share for split, share in shares.items() if share > UNKNOWN}
  if not high:
    return []
  told = ", ".join(f"{100 * x:.1f} % of {split}" for split, x in high.items())
  return [
    Finding(
      "texts",
      "warning",
      f"the tokenizer does not know {told}'s tokens. The texts are of another"
      " language or script than the model, or data.text_column is wrong.",
      {"shares": shares},
    )
  ]


def _unknown_id(encoder: tokenizers.Tokenizer) -> int | None:
  """The id of the unknown token; byte-level vocabularies have none."""
  model = json.loads(encoder.to_str())["model"]
  if model.get("unk_id") is not None:
    return model["unk_id"]
  token = model.get("unk_token")
  return None if token is None else encoder.token_to_id(token)
