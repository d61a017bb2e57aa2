"""Llama's kind of tokenizer: pieces with scores, and bytes for the rest.

SentencePiece merges the pair whose joint piece has the best score. The same
comes of a list of merges in the order of the scores, which is what the library
takes.

Source: transformers, convert_slow_tokenizer.py, generate_merges and
LlamaConverter.
"""

import enum
import math
from collections.abc import Sequence
from typing import NamedTuple

import tokenizers
from tokenizers import AddedToken, decoders, normalizers

from jft.errors import UserError

SPACE = "\u2581"
MOST = 256  # letters of a piece; Llama's longest has 16


class Kind(enum.IntEnum):
  """What a piece is; the numbers of SentencePiece and of ggml."""

  NORMAL = 1
  UNKNOWN = 2
  CONTROL = 3
  USER = 4
  UNUSED = 5
  BYTE = 6


class Piece(NamedTuple):
  """One token: its text, with `SPACE` for a space, and its rank."""

  text: str
  score: float
  kind: int = Kind.NORMAL


def build(
  pieces: Sequence[Piece], *, prefix: bool = True, squeeze: bool = False
) -> tokenizers.Tokenizer:
  """Returns a tokenizer that adds no tokens of its own.

  Args:
    pieces: by their ids.
    prefix: a text begins with a space that is not its own.
    squeeze: spaces at the ends are left out, and several become one.

  Raises:
    UserError: if a piece comes twice, or not all 256 bytes are there: then
      some texts would have no tokens.
  """
  vocab = {piece.text: i for i, piece in enumerate(pieces)}
  if len(vocab) != len(pieces):
    twice = next(p.text for i, p in enumerate(pieces) if vocab[p.text] != i)
    raise UserError(f"the piece {twice!r} comes twice")
  if missing := [name for b in range(256) if (name := byte(b)) not in vocab]:
    raise UserError(
      f"{len(missing)} of the 256 bytes have no piece: {missing[0]}"
    )
  unknown = [piece.text for piece in pieces if piece.kind == Kind.UNKNOWN]
  encoder = tokenizers.Tokenizer(
    tokenizers.models.BPE(
      vocab,
      _merges(pieces),
      unk_token=unknown[0] if unknown else None,
      fuse_unk=True,
      byte_fallback=True,
    )
  )
  encoder.normalizer = _normalizer(prefix, squeeze)
  steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback()]
  steps += [decoders.Fuse(), *([decoders.Strip(" ", 1, 0)] if prefix else [])]
  encoder.decoder = decoders.Sequence(steps)
  _add_special(encoder, pieces)
  return encoder


def byte(value: int) -> str:
  """Returns the piece of a byte.

  >>> byte(10)
  '<0x0A>'
  """
  return f"<0x{value:02X}>"


def _merges(pieces: Sequence[Piece]) -> list[tuple[str, str]]:
  ordinary = {p.text for p in pieces if p.kind in (Kind.NORMAL, Kind.USER)}
  found = []
  for piece in pieces:
    if piece.kind != Kind.NORMAL:
      continue
    text = piece.text
    if len(text) > MOST or not math.isfinite(piece.score):
      raise UserError(
        f"the piece {text[:40]!r} has {len(text)} letters and the score"
        f" {piece.score}"
      )
    for at in range(1, len(text)):
      left, right = text[:at], text[at:]
      if left in ordinary and right in ordinary:
        found.append((-piece.score, -at, at - len(text), left, right))
  found.sort(key=lambda row: row[:3])  # the best first
  return [(left, right) for *_, left, right in found]


def _normalizer(prefix: bool, squeeze: bool) -> normalizers.Normalizer:
  steps: list[normalizers.Normalizer] = []
  if squeeze:
    ends, many = tokenizers.Regex(r"\A +| +\z"), tokenizers.Regex(" {2,}")
    steps += [normalizers.Replace(ends, ""), normalizers.Replace(many, " ")]
  if prefix:
    steps.append(normalizers.Prepend(SPACE))
  return normalizers.Sequence([*steps, normalizers.Replace(" ", SPACE)])


def _add_special(
  encoder: tokenizers.Tokenizer, pieces: Sequence[Piece]
) -> None:
  hidden = (Kind.CONTROL, Kind.UNKNOWN)
  encoder.add_special_tokens(
    [
      AddedToken(piece.text, normalized=False, special=True)
      for piece in pieces
      if piece.kind in hidden
    ]
  )
  # After the spaces have become pieces, so that one of spaces is found.
  encoder.add_tokens(
    [
      AddedToken(piece.text, normalized=False)
      if SPACE not in piece.text
      else AddedToken(piece.text, normalized=True)
      for piece in pieces
      if piece.kind == Kind.USER
    ]
  )
