"""Texts to token ids, by the tokenizer that came with the weights."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tokenizers

from jft import digests, tokenizer_files
from jft.data import encoders
from jft.data.encoders import beside
from jft.errors import UserError

Reads = Literal["text", "apart", "words"]

# Characters; the longest word that WordPiece reads has 100.
_MARGIN = 256

# Words that are known, that are not, and more of them than most models take.
_TRIAL = "A \u6771\u4eac [UNK] \U0001f642, tried. " * 9


@dataclass(frozen=True, eq=False)
class Tokenizer:
  """A tokenizer with its limit; made by `load_tokenizer`."""

  encoder: tokenizers.Tokenizer
  max_length: int
  pad_id: int
  sha256: str
  """Of the file that it was read from, for `run.json`."""
  reads: Reads = "text"
  """"text": one text or a pair, in one row; "apart": each text of a pair in a
  row of its own; "words": a sentence of words that have a tag each."""
  bos_id: int | None = None
  eos_id: int | None = None
  """Of the tokens that begin and end a text, None where there is none; whether
  `encode_batch` adds them is as in the tokenizer's own project."""
  chat_template: str | None = None
  """Jinja2 that makes a text of a conversation."""

  def encode_batch(
    self, texts: Sequence[str], pairs: Sequence[str] | None = None
  ) -> list[dict[str, np.ndarray]]:
    """Encodes texts or pairs of texts, cut to `max_length` tokens.

    Returns:
      For each {"input_ids", "token_type_ids"}, Int32[n] with special tokens
      and without padding.
    """
    given: list[Any] = list(texts)
    if pairs is not None:
      given = [
        (self._shortened(text), self._shortened(pair))
        for text, pair in zip(given, pairs, strict=True)
      ]
    return [
      {
        "input_ids": np.array(encoding.ids, np.int32),
        "token_type_ids": np.array(encoding.type_ids, np.int32),
      }
      for encoding in self.encoder.encode_batch(given)
    ]

  def encode_whole(
    self, texts: Sequence[str], *, special: bool
  ) -> list[tokenizers.Encoding]:
    """Encodes texts of any length, without cutting them.

    Args:
      texts: to encode.
      special: add the tokens that the tokenizer puts around a text.
    """
    return self.uncut.encode_batch(list(texts), add_special_tokens=special)

  def decode(self, ids: Sequence[int] | np.ndarray) -> str:
    """Returns the text of token ids [n], without special tokens."""
    return self.encoder.decode([int(i) for i in ids])

  @property
  def room(self) -> int:
    """How many tokens of `max_length` are left for an example's own."""
    return self.max_length - self.encoder.num_special_tokens_to_add(False)

  def encode_words(
    self, sentences: Sequence[Sequence[str]]
  ) -> list[dict[str, np.ndarray]]:
    """Encodes sentences word by word, cut to `max_length` tokens.

    Returns:
      As `encode_batch`, and "first": of a word's first token the word's
      number, of any other token -1.
    """
    return [
      {
        "input_ids": np.array(encoding.ids, np.int32),
        "token_type_ids": np.array(encoding.type_ids, np.int32),
        "first": _first(encoding.word_ids),
      }
      for encoding in _encode_words(self.encoder, sentences)
    ]

  def count_tokens(
    self, sentences: Sequence[Sequence[str]]
  ) -> list[np.ndarray]:
    """Returns how many tokens each word of each sentence has."""
    encoded = _encode_words(self.uncut, sentences)
    return [
      np.bincount(
        [i for i in encoding.word_ids if i is not None], minlength=len(words)
      )
      for encoding, words in zip(encoded, sentences, strict=True)
    ]

  @functools.cached_property
  def uncut(self) -> tokenizers.Tokenizer:
    """The encoder, cutting nothing; a copy that takes a while to make."""
    whole = tokenizers.Tokenizer.from_str(self.encoder.to_str())
    whole.no_truncation()
    return whole

  def _shortened(self, text: str) -> str:
    """Returns as much of a text as its ids in a pair can depend on.

    Of what is cut off a pair the library makes every combination: two texts of
    5000 tokens cut to 12 took 17 s and 6 GB.
    """
    if len(text) <= 16 * self.max_length:
      return text
    ends = [end for _, end in self.encoder.encode(text).offsets]
    kept = max(ends, default=0)  # none, where every word is unknown
    return text[: kept + _MARGIN]


def load_tokenizer(
  path: str | Path,
  max_length: int,
  reads: Reads = "text",
  new_tokens: Sequence[str] = (),
) -> Tokenizer:
  """Loads a tokenizer from a model's folder or from its file.

  Reads `tokenizer.json`; a BERT `vocab.txt` with `do_lower_case` from the
  `tokenizer_config.json` beside it (true if there is none); GPT-2's and Qwen's
  `vocab.json` with `merges.txt`, or `encoder.json` with `vocab.bpe`; Llama's
  SentencePiece `.model`; llama2.c's `.bin`; and what lies inside a `.gguf`. Of
  a pair too long for `max_length` the longer text is cut first.

  Args:
    path: the folder or the file.
    max_length: tokens of an example at most, special tokens included.
    reads: how examples are read; see `Tokenizer`.
    new_tokens: words that become one token each, after the old ones.

  Raises:
    UserError: if neither file is there or it cannot be read, or the model
      takes fewer tokens than `max_length`.
  """
  file = _find(Path(path))
  config = _config(file)
  # Without a limit transformers writes 1e30.
  limit = config.get("model_max_length") or max_length
  if not 2 < max_length <= limit:
    raise UserError(
      f"max_length={max_length} is not from 3 to {limit}, the longest input"
      f" that {file.parent} was made for."
    )
  try:
    made = encoders.read(file, config)
    encoder = made.encoder
    encoder.add_tokens(list(new_tokens))
    encoder.no_padding()
    encoder.enable_truncation(max_length, strategy="longest_first")
    _try(encoder, max_length)
  except (KeyboardInterrupt, SystemExit):
    raise
  except BaseException as error:  # Rust raises bare Exceptions, and panics.
    raise UserError(f"{file}: not a tokenizer: {error}.") from error
  return Tokenizer(
    encoder,
    max_length,
    # No padding token: the attention mask hides whatever is there.
    made.pad_id or 0,
    digests.file_sha256(file),
    reads,
    made.bos_id,
    made.eos_id,
    made.chat_template,
  )


def _encode_words(
  encoder: tokenizers.Tokenizer, sentences: Sequence[Sequence[str]]
) -> list[tokenizers.Encoding]:
  """Encodes words; one that has no token, such as a mark, is an unknown one."""
  given = [list(words) for words in sentences]
  encoded = encoder.encode_batch(given, is_pretokenized=True)
  for i, (words, encoding) in enumerate(zip(given, encoded, strict=True)):
    seen = {word for word in encoding.word_ids if word is not None}
    # Truncation leaves words out at the end, and those may well have tokens.
    end = max(seen, default=0) if encoding.overflowing else len(words)
    if gone := set(range(end)) - seen:
      unknown = _unknown(encoder)
      words = [unknown if j in gone else w for j, w in enumerate(words)]
      encoded[i] = encoder.encode(words, is_pretokenized=True)
  return encoded


def _unknown(encoder: tokenizers.Tokenizer) -> str:
  token = getattr(encoder.model, "unk_token", None)
  if token is None:
    raise UserError(
      "a word has no token and the tokenizer no unknown one; take words of"
      " nothing but marks and blanks out of the data."
    )
  return token


def _first(word_ids: Sequence[int | None]) -> np.ndarray:
  """Returns a word's number at its first token, -1 elsewhere.

  >>> _first([None, 0, 0, 1, None]).tolist()
  [-1, 0, -1, 1, -1]
  """
  ids = np.array([-1 if i is None else i for i in word_ids], np.int32)
  again = np.concatenate([[False], ids[1:] == ids[:-1]])
  return np.where(again, np.int32(-1), ids)


def _find(path: Path) -> Path:
  if path.is_file():
    return path
  if (found := tokenizer_files.find(path)) is not None:
    return found
  raise UserError(
    f"{path} holds no tokenizer: neither {', '.join(tokenizer_files.PAIRS)} nor"
    " a .gguf."
  )


def _config(file: Path) -> dict[str, Any]:
  if file.suffix == ".gguf":  # which says everything itself
    return {}
  path = file.parent / beside.CONFIG
  found = beside.read(path)
  if not isinstance(found.get("model_max_length"), int | float | None):
    raise UserError(f"{path}: model_max_length must be a number.")
  return found


def _try(encoder: tokenizers.Tokenizer, max_length: int) -> None:
  """Raises what encoding will raise, and if what comes out cannot be used.

  A tokenizer.json may name what it does not have: that comes out at the first
  unknown word, or at the first pair.
  """
  ids = [*encoder.get_vocab(with_added_tokens=True).values()]
  for made in (encoder.encode(_TRIAL), encoder.encode(_TRIAL, _TRIAL)):
    if len(made.ids) > max_length:
      raise UserError(f"it makes {len(made.ids)} tokens of {max_length}")
    ids += made.ids + made.type_ids
  if max(ids) >= 2**31:
    raise UserError(f"a token has the id {max(ids)}, 2**31 or more")
