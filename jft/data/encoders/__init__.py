"""Tokenizers out of the files that models come with, one kind a file here."""

from pathlib import Path
from typing import Any

import tokenizers

from jft.data.encoders import (
  beside,
  byte_bpe,
  gguf_vocab,
  llama2c_bin,
  sentencepiece_file,
  word_piece,
)
from jft.data.encoders.made import Made


def read(file: Path, config: dict[str, Any]) -> Made:
  """Reads a tokenizer; what it adds to a text is what its own project adds.

  Args:
    file: of any kind in `jft.tokenizer_files`.
    config: the `tokenizer_config.json` beside it.

  Raises:
    Exception: of any kind, for a file that is damaged or not known; the
      caller names the file.
  """
  if file.suffix == ".gguf":
    return gguf_vocab.read(file)
  if file.name in ("vocab.json", "encoder.json"):
    made = byte_bpe.read(file, config)
  elif file.suffix == ".json":
    made = Made(tokenizers.Tokenizer.from_file(str(file)))
  elif file.suffix == ".bin":
    made = llama2c_bin.read(file)
  elif file.suffix == ".model":
    made = sentencepiece_file.read(file, config)
  else:
    made = word_piece.read(file, config)
  return beside.completed(made, file.parent, config)
