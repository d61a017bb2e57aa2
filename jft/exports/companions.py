"""The files that go beside weights: sentence modules, images, limits."""

import pathlib

from jft.exports.subject import Subject
from jft.pretrained import processor, sentence
from jft.pretrained.sentence import Sentence
from jft.typing import Any
from jft.writers import write_json


def is_sentence(subject: Subject) -> bool:
  """Whether it is an encoder of sentences.

  That is one without a head whose tokens are pooled by no layer of its own.
  """
  spec = subject.spec
  if spec.kind != "text" or subject.own is not None or spec.head is not None:
    return False
  if not hasattr(spec.config, "normalize"):  # a decoder
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
