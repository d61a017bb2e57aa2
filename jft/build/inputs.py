"""Files to predict -> a source, read as the run's own data are."""

import os
import pathlib

import numpy as np

from jft import data
from jft.build.sources import columns, number
from jft.build.task import label_kind
from jft.data import Source
from jft.errors import UserError
from jft.typing import Any, Sequence


def read_inputs(
  config: Any, kind: str, files: Sequence[str], on_error: str
) -> tuple[list[str], Source | None, list[tuple[str, str]]]:
  """Opens files to predict.

  Args:
    config: the run's, for the text column.
    kind: what the network reads, "image" or "text".
    files: paths.
    on_error: "error" or "skip", for unreadable images.

  Returns:
    (a name for each input, their source, [(skipped file, reason)]); no source
    where every file was skipped.
  """
  if kind == "text" and label_kind(config) == "tags":
    return *_sentences(files, config.data), []
  if kind == "text":
    return *_texts(files, config.data), []
  reasons = {path: data.verify_image(pathlib.Path(path)) for path in files}
  bad = [(path, reason) for path, reason in reasons.items() if reason]
  if bad and on_error == "error":
    raise UserError(
      f"{len(bad)} of {len(files)} images cannot be read, the first:"
      f" {bad[0][0]} ({bad[0][1]}). Leave them out, or give --on-error=skip."
    )
  good = [path for path in files if not reasons[path]]
  return good, data.image_files(good) if good else None, bad


def _texts(files: Sequence[str], c: Any) -> tuple[list[str], Source]:
  """Returns the texts' names, pairs joined by a tab, and their source."""
  keys = ("text", "text_pair") if c.text_pair_column else ("text",)
  rows = [row for path in files for row in _rows(path, c)]
  read = {key: [row[key] for row in rows] for key in keys}
  names = ["\t".join(texts) for texts in zip(*read.values(), strict=True)]
  return names, data.arrays(read, name="inputs")


def _sentences(files: Sequence[str], c: Any) -> tuple[list[str], Source]:
  """Returns the sentences' texts and their words, tags left open."""
  sources = [_open_words(path, c) for path in files]
  words = [row for source in sources for row in source.words]
  open_tags = [np.zeros(len(row), np.int32) for row in words]
  names = [" ".join(row) for row in words]
  # A tag for each word says where the answers are to be read.
  return names, data.Sentences(words, open_tags, "inputs", ("O",), "", [])


def _open_words(path: str, c: Any) -> data.Sentences:
  suffix = os.path.splitext(path)[1]
  if suffix == ".jsonl":
    return data.tagged_jsonl(path, words=c.text_column, tags=None)
  if suffix != ".txt":
    column = number("text_column", c.text_column, 0)
    return data.conll(path, word=column, tag=None)
  words = [tuple(row["text"].split()) for row in _rows(path, c)]
  tags = [np.zeros(len(row), np.int32) for row in words]
  return data.Sentences(words, tags, path, ("O",), path, [])


def _rows(path: str, c: Any) -> list[dict[str, str]]:
  suffix = os.path.splitext(path)[1]
  if suffix in (".csv", ".tsv", ".jsonl"):
    options = {**columns(c), "label": None}
    if suffix == ".jsonl":
      source = data.jsonl(path, **options)
    else:
      source = data.csv(path, header=c.header, **options)
    return [source[i] for i in range(len(source))]
  if c.text_pair_column:
    raise UserError(
      f"{path}: this run reads pairs of texts; give a .csv, .tsv or .jsonl with"
      f" the columns {c.text_column!r} and {c.text_pair_column!r}."
    )
  try:
    with open(path, encoding="utf-8") as file:
      lines = file.read().splitlines()
  except (OSError, UnicodeDecodeError) as error:
    raise UserError(f"{path} is no readable UTF-8 text: {error}.") from error
  return [{"text": line} for line in lines if line.strip()]
