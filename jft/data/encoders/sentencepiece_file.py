"""SentencePiece's `tokenizer.model`, where it is of Llama's kind (BPE).

A protobuf of which four messages matter; read here, as the package would be
needed for nothing else.

Source: sentencepiece/src/sentencepiece_model.proto; transformers,
LlamaTokenizer, for `add_bos_token` and `add_eos_token` and their defaults.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jft.data.encoders import piece_bpe
from jft.data.encoders.made import Made, add_ends
from jft.data.encoders.piece_bpe import Kind, Piece
from jft.errors import UserError

_BPE = 2  # TrainerSpec.model_type
_Field = tuple[int, Any]


def read(file: Path, config: Mapping[str, Any]) -> Made:
  """Reads a `tokenizer.model`.

  Args:
    file: the model.
    config: the `tokenizer_config.json` beside it.

  Raises:
    UserError: if it is damaged, or a Unigram model, or normalises its texts.
  """
  pieces, trainer, normalizer = [], {}, {}
  for number, value in _fields(file.read_bytes()):
    if number == 1:
      pieces.append(_piece(_message(value)))
    elif number == 2:
      trainer = _message(value)
    elif number == 3:
      normalizer = _message(value)
  if trainer.get(3, 1) != _BPE:
    raise UserError(
      f"it is of SentencePiece's type {trainer.get(3, 1)}, jft reads BPE (2);"
      " put its tokenizer.json there"
    )
  if normalizer.get(2):
    raise UserError(
      "it normalises its texts by a table of its own, which jft does not read;"
      " put its tokenizer.json there"
    )
  encoder = piece_bpe.build(
    pieces,
    prefix=bool(normalizer.get(3, 1)),
    squeeze=bool(normalizer.get(4, 1)),
  )
  bos, eos = (
    pieces[at].text if 0 <= (at := trainer.get(key, usual)) < 2**31 else None
    for key, usual in ((41, 1), (42, 2))
  )
  add_ends(
    encoder,
    bos if config.get("add_bos_token", True) else None,
    eos if config.get("add_eos_token", False) else None,
  )
  ids = (encoder.token_to_id(token) if token else None for token in (bos, eos))
  return Made(encoder, *ids)


def _piece(message: Mapping[int, Any]) -> Piece:
  (score,) = struct.unpack("<f", message.get(2, bytes(4)))
  return Piece(
    message.get(1, b"").decode("utf-8"), score, message.get(3, Kind.NORMAL)
  )


def _message(value: Any) -> dict[int, Any]:
  """{number: value} of a message in a message; of a repeated one, the last."""
  if not isinstance(value, bytes):
    raise UserError("a message is missing; it is damaged")
  return dict(_fields(value))


def _fields(data: bytes) -> Iterator[_Field]:
  """(number, value) of each field: int, or bytes of all other kinds."""
  at = 0
  while at < len(data):
    key, at = _varint(data, at)
    number, wire = key >> 3, key & 7
    if wire == 0:
      value, at = _varint(data, at)
    elif wire in (1, 2, 5):
      size = {1: 8, 5: 4}.get(wire)
      if size is None:
        size, at = _varint(data, at)
      value, at = data[at : at + size], at + size
    else:
      raise UserError(f"field {number} is of the unknown wire type {wire}")
    if at > len(data):
      raise UserError(f"field {number} ends behind its message")
    yield number, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
  value = 0
  for shift in range(0, 70, 7):
    if at >= len(data):
      raise UserError("a number ends behind its message")
    value |= (data[at] & 127) << shift
    at += 1
    if data[at - 1] < 128:
      return value, at
  raise UserError("a number has more than 70 bits")
