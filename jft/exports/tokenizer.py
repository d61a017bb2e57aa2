"""A tokenizer's files, as transformers and jft open them.

Files that transformers knows are copied. What lies in a `.gguf`, in llama2.c's
`.bin` or in SentencePiece's `.model` becomes a `tokenizer.json`.
"""

import json
import pathlib
import shutil

import numpy as np

from jft import data
from jft.data import encoders
from jft.data.encoders import beside
from jft.exports.subject import Subject
from jft.typing import Any
from jft.writers import write_json

FILE = "tokenizer.json"
_TEMPLATE = "chat_template.jinja"
_COPIED = (
  FILE,
  beside.CONFIG,
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.txt",
  "vocab.json",
  "merges.txt",
  "spiece.model",
  "sentencepiece.bpe.model",
  "tokenizer.model",
  _TEMPLATE,
)
# Of those that jft reads, the ones that transformers reads to the same ids.
_SHARED = (FILE, "vocab.txt", "vocab.json")

HARD = (
  *("", " ", "Once upon a time", " a", "  a  b   c\t\n", "\n\nx \n"),
  *(
    "don't IT'S we'll",
    "1234567 3.14 $1,204",
    "naïve café e\u0301",
    "a\u00adb",
  ),
  *(
    "東京 São \U0001f642\U0001f468\u200d\U0001f469",
    "\x00\x7f",
    "▁ x",
    "<0x0A>",
  ),
  *("<s>hi</s>", "<unk> <pad>", "<|im_start|>user\nx<|im_end|>", "[CLS] x"),
)
"""Texts that tokenizers are known to disagree about."""


def write(subject: Subject, folder: pathlib.Path) -> None:
  """Writes the tokenizer's files, with the run's words and its limit.

  Args:
    subject: a text model; without a tokenizer nothing is written.
    folder: where to.
  """
  file = subject.spec.tokenizer
  if subject.spec.kind != "text" or file is None:
    return
  if file.name in _SHARED:
    _copy(subject, file, folder)
  else:
    _make(subject, file, folder)


def _copy(subject: Subject, file: pathlib.Path, folder: pathlib.Path) -> None:
  grown = bool(subject.new_tokens)
  for name in _COPIED:
    source = file.parent / name
    if source.is_file() and not (grown and name == "vocab.txt"):
      shutil.copyfile(source, folder / name)
  if grown:
    encoder_of(subject).uncut.save(str(folder / FILE))
  if subject.max_length:
    path = folder / beside.CONFIG
    found = json.loads(path.read_bytes()) if path.is_file() else {}
    limit = {"model_max_length": subject.max_length}
    write_json(path, {**found, **limit})


def _make(subject: Subject, file: pathlib.Path, folder: pathlib.Path) -> None:
  made = encoders.read(file, beside.read(file.parent / beside.CONFIG))
  made.encoder.add_tokens(list(subject.new_tokens))
  made.encoder.save(str(folder / FILE))
  # Of any other class transformers changes what the file says.
  config: dict[str, Any] = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "clean_up_tokenization_spaces": False,
  }
  for kind in ("bos", "eos", "pad"):
    if (number := getattr(made, f"{kind}_id")) is not None:
      config[f"{kind}_token"] = made.encoder.id_to_token(number)
  if unknown := getattr(made.encoder.model, "unk_token", None):
    config["unk_token"] = unknown
  if limit := subject.max_length or subject.spec.max_tokens:
    config["model_max_length"] = limit
  write_json(folder / beside.CONFIG, config)
  if made.chat_template:
    (folder / _TEMPLATE).write_text(made.chat_template, encoding="utf-8")


def encoder_of(subject: Subject) -> data.Tokenizer:
  """Returns a subject's own tokenizer, which must be there."""
  return data.load_tokenizer(
    subject.spec.tokenizer,  # pyright: ignore[reportArgumentType]
    max_length=subject.max_length or subject.spec.max_tokens,
    new_tokens=subject.new_tokens,
  )


def differing(ours: data.Tokenizer, theirs: data.Tokenizer) -> str | None:
  """Returns the first hard text that two tokenizers read or write otherwise.

  Args:
    ours, theirs: whatever their limits are.
  """
  for text in HARD:
    a, b = ours.uncut.encode(text), theirs.uncut.encode(text)
    if not np.array_equal(a.ids, b.ids) or _said(ours, a) != _said(theirs, b):
      return text
  return None


def _said(tokenizer: data.Tokenizer, encoding: Any) -> str:
  return tokenizer.uncut.decode(encoding.ids)
