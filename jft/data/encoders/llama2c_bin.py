"""llama2.c's `tokenizer.bin`: SentencePiece's pieces and scores, no more.

Source: llama2.c, tokenizer.py (export) and run.c (build_tokenizer, encode). As
there, a text begins with <s> and a space that is not its own.
"""

import struct
from pathlib import Path

from jft.data.encoders import piece_bpe
from jft.data.encoders.made import Made, add_ends
from jft.data.encoders.piece_bpe import SPACE, Kind, Piece
from jft.errors import UserError

UNKNOWN, BOS, EOS = "<unk>", "<s>", "</s>"
FIRST_BYTE = 3  # the id of the byte 0; run.c counts on it
_ROW = struct.Struct("<fi")


def read(file: Path) -> Made:
  """Reads a `tokenizer.bin`.

  Args:
    file: of any size; the number of pieces is what is in it.

  Raises:
    UserError: if it is damaged, or another kind of file.
  """
  encoder = piece_bpe.build(
    [_piece(i, text, score) for i, (text, score) in enumerate(rows(file))]
  )
  add_ends(encoder, BOS)
  return Made(encoder, 1, 2)


def rows(file: Path) -> list[tuple[bytes, float]]:
  """Returns (text, score) of each piece, as the file has them.

  Raises:
    UserError: if the file does not end with a whole piece.
  """
  data = file.read_bytes()
  found, at = [], 4
  longest = int.from_bytes(data[:4], "little", signed=True)
  while at + _ROW.size <= len(data):
    score, count = _ROW.unpack_from(data, at)
    at += _ROW.size
    if not 0 <= count <= longest or at + count > len(data):
      raise UserError(
        f"piece {len(found)} claims {count} bytes, of {longest} at most and"
        f" {len(data) - at} left"
      )
    found.append((data[at : at + count], score))
    at += count
  if at != len(data) or len(found) < FIRST_BYTE + 256:
    raise UserError(
      f"it holds {len(found)} pieces and {max(len(data) - at, 0)} more bytes;"
      f" expected {FIRST_BYTE + 256} pieces or more and none"
    )
  return found


def _piece(number: int, text: bytes, score: float) -> Piece:
  if number < FIRST_BYTE:
    kind = Kind.CONTROL if number else Kind.UNKNOWN
    return Piece((UNKNOWN, BOS, EOS)[number], score, kind)
  value = number - FIRST_BYTE
  if value < 256:
    # Older files have the byte itself, or its letter in Latin-1.
    name = piece_bpe.byte(value)
    spelled = (name.encode(), bytes([value]), chr(value).encode())
    if text not in spelled:
      raise UserError(f"piece {number} is {text!r}, expected {spelled[0]!r}")
    return Piece(name, score, Kind.BYTE)
  try:
    return Piece(text.decode("utf-8").replace(" ", SPACE), score)
  except UnicodeDecodeError as error:
    raise UserError(f"piece {number} is not UTF-8: {text!r}") from error
