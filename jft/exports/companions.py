"""The files that go beside weights: tokenizer, sentence modules, images."""

import json
import pathlib
import shutil

import tokenizers

from jft import data
from jft.exports.subject import Subject
from jft.pretrained import processor, sentence
from jft.pretrained.sentence import Sentence
from jft.typing import Any
from jft.writers import write_json

TOKENIZERS = (
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.txt",
  "vocab.json",
  "merges.txt",
  "spiece.model",
  "sentencepiece.bpe.model",
  "tokenizer.model",
  "chat_template.jinja",
)
_CONFIG = "tokenizer_config.json"


def write_tokenizer(subject: Subject, folder: pathlib.Path) -> None:
  """Writes the tokenizer's files, with the run's words and its limit.

  Args:
    subject: a text model; without a tokenizer nothing is written.
    folder: where to.
  """
  if subject.spec.kind != "text" or subject.spec.tokenizer is None:
    return
  beside = subject.spec.tokenizer.parent
  grown = bool(subject.new_tokens)
  for name in TOKENIZERS:
    if (beside / name).is_file() and not (grown and name == "vocab.txt"):
      shutil.copyfile(beside / name, folder / name)
  if grown:
    _grown(subject).save(str(folder / "tokenizer.json"))
  if subject.max_length:
    path = folder / _CONFIG
    found = json.loads(path.read_bytes()) if path.is_file() else {}
    limit = {"model_max_length": subject.max_length}
    write_json(path, {**found, **limit})


def _grown(subject: Subject) -> tokenizers.Tokenizer:
  return data.load_tokenizer(
    subject.spec.tokenizer,  # pyright: ignore[reportArgumentType]
    max_length=subject.max_length or subject.spec.max_tokens,
    new_tokens=subject.new_tokens,
  ).uncut


def is_sentence(subject: Subject) -> bool:
  """Whether it is an encoder of sentences.

  That is one without a head whose tokens are pooled by no layer of its own.
  """
  spec = subject.spec
  if spec.kind != "text" or subject.own is not None or spec.head is not None:
    return False
  return spec.config.pooling in sentence.POOLINGS


def write_sentence(subject: Subject, folder: pathlib.Path) -> None:
  """Writes the modules of sentence-transformers, for an encoder of sentences.

  Args:
    subject: any; nothing is written for another.
    folder: where to.
  """
  if not is_sentence(subject):
    return
  spec = subject.spec
  used = Sentence(spec.config.pooling, spec.config.normalize)
  modules, files = sentence.write(used, spec.config.width)
  write_json(folder / sentence.FILE, modules)
  limit = subject.max_length or spec.max_tokens
  files["sentence_bert_config.json"] = {
    "max_seq_length": limit,
    "do_lower_case": False,
  }
  files["config_sentence_transformers.json"] = {
    "model_type": "SentenceTransformer"
  }
  for name, content in files.items():
    (folder / name).parent.mkdir(exist_ok=True)
    write_json(folder / name, content)


def write_limit(subject: Subject, folder: pathlib.Path) -> None:
  """Writes how long a text may be, where that is less than the positions."""
  spec = subject.spec
  if spec.kind == "text" and subject.own is None and spec.max_tokens:
    write_json(
      folder / "sentence_bert_config.json", {"max_seq_length": spec.max_tokens}
    )


def write_processor(subject: Subject, folder: pathlib.Path) -> None:
  """Writes transformers' preprocessor_config.json, for images."""
  if subject.preprocessing:
    write_json(folder / processor.FILE, processor.write(subject.preprocessing))


def facts(subject: Subject) -> dict[str, Any]:
  """Returns labels and preparation, for what goes out without a config."""
  spec = subject.spec
  found: dict[str, Any] = {"label_names": list(spec.label_names)}
  if subject.preprocessing:
    found["preprocessing"] = subject.preprocessing
  if spec.kind == "text":
    found["max_tokens"] = subject.max_length or spec.max_tokens
  return found
