"""Config -> what training does to texts: on the device, and on the host."""

import os

import numpy as np

from jft import augment, data
from jft.augment import synonyms
from jft.errors import UserError
from jft.typing import Any, Callable

_MASKS = ("[MASK]", "<mask>")
# What a token begins with that begins a word, or, of BERT's, goes on with one.
_BEGINS = ("Ġ", "▁")
_GOES_ON = "##"


def make(c: Any, tokenizer: data.Tokenizer) -> list[augment.Augment]:
  """Returns the changes that the section "augment" asks of batches of tokens.

  Raises:
    UserError: if it asks for the mask token of a tokenizer without one.
  """
  if not (c.word_dropout or c.token_masking):
    return []
  known = vocabulary(tokenizer)
  made = []
  if c.word_dropout:
    made.append(augment.word_dropout(c.word_dropout, known))
  if c.token_masking:
    made.append(augment.token_masking(c.token_masking, known))
  return made


def vocabulary(tokenizer: data.Tokenizer) -> augment.Vocabulary:
  """Returns which tokens are special, and which go on with a word."""
  encoder = tokenizer.encoder
  ids = encoder.get_vocab(with_added_tokens=True)
  special = np.zeros(max(ids.values()) + 1, bool)
  inner = np.zeros_like(special)
  ends = (tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id)
  special[[i for i in ends if i is not None]] = True
  for i, token in encoder.get_added_tokens_decoder().items():
    special[i] = special[i] or token.special
  begins = [m for m in _BEGINS if any(t.startswith(m) for t in ids)]
  for token, i in ids.items():
    if begins:
      inner[i] = not token.startswith(tuple(begins))
    else:
      inner[i] = token.startswith(_GOES_ON)
  masks = (encoder.token_to_id(name) for name in _MASKS)
  return augment.Vocabulary(
    special, inner, next((i for i in masks if i is not None), None)
  )


def make_synonyms(
  c: Any,
) -> Callable[[str, np.random.Generator], str] | None:
  """Returns (text, draw) -> text by the file of synonyms, None without one.

  Raises:
    UserError: if it cannot be read.
  """
  if not c.synonyms:
    return None
  path = os.path.expandvars(c.synonyms)
  try:
    with open(path, encoding="utf-8") as file:
      found = synonyms.read(file.read().splitlines())
  except (OSError, UnicodeDecodeError) as error:
    raise UserError(
      f"augment.synonyms={c.synonyms!r} is no readable UTF-8 text: {error}."
    ) from error
  except UserError as error:
    raise UserError(f"augment.synonyms={c.synonyms!r}: {error}") from error
  return synonyms.replace(found, c.synonym_share)
