"""Which file of a folder its tokenizer is read from.

On the lowest floor because both the models' sources and the texts ask.
"""

import re
import types
from collections.abc import Mapping
from pathlib import Path

# The best first. Of those that are two files the one with the ids is named, and
# the other must be there.
PAIRS: Mapping[str, str | None] = types.MappingProxyType(
  {
    "tokenizer.json": None,
    "vocab.txt": None,  # BERT's
    "vocab.json": "merges.txt",  # GPT-2's as transformers writes it
    "encoder.json": "vocab.bpe",  # GPT-2's own
    "tokenizer.model": None,  # SentencePiece
    "tokenizer.bin": None,  # llama2.c
  }
)
# What llama2.c calls a tokenizer that it trained, by the size.
TRAINED = re.compile(r"tok(\d{1,9})\.(model|bin)")


def is_tokenizer(name: str) -> bool:
  """Whether a file of this name is a tokenizer, although it may end in .bin.

  >>> is_tokenizer("tok512.bin"), is_tokenizer("stories15M.bin")
  (True, False)
  """
  return name in PAIRS or TRAINED.fullmatch(name) is not None


def find(folder: Path) -> Path | None:
  """Returns the file that a folder's tokenizer is read from, if it has one.

  A `.gguf` holds one, too: the folder's, if there is but one.

  Args:
    folder: such as a model's.
  """
  for name, other in PAIRS.items():
    if (folder / name).is_file() and (
      other is None or (folder / other).is_file()
    ):
      return folder / name
  for pattern in ("tok*.model", "tok*.bin", "*.gguf"):
    found = [
      file
      for file in folder.glob(pattern)
      if file.is_file()
      and (file.suffix == ".gguf" or TRAINED.fullmatch(file.name))
    ]
    if len(found) == 1:
      return found[0]
  return None


def find_llama2c(folder: Path, size: int) -> Path | None:
  """Returns the tokenizer that llama2.c puts beside a model, if it is there.

  Args:
    folder: the model's.
    size: words of the model, which the name of a trained tokenizer has.
  """
  names = (f"tok{size}.model", f"tok{size}.bin", "tokenizer.model")
  for name in (*names, "tokenizer.bin"):
    if (folder / name).is_file():
      return folder / name
  return None
