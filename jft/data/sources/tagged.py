"""Sentences whose words have tags, from CoNLL's columns or JSON Lines."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jft.data.sources.table import check_characters, read_object, read_text
from jft.errors import UserError, did_you_mean

_TAG = re.compile(r"O|[BI]-.+")
# Other spaces may be a word: a lone no-break space is one in tweets.
_BLANK = " \t\r"
_DOCUMENT = "-DOCSTART-"


@dataclass(frozen=True, eq=False)
class Sentences:
  """A source of {"words": a tuple of texts, "label": Int32[m]}.

  Where each sentence begins is in `lines`, for messages.
  """

  words: Sequence[tuple[str, ...]]
  tags: Sequence[np.ndarray]
  name: str
  label_names: tuple[str, ...]
  path: str
  lines: Sequence[int]
  label_kind: str = "tags"

  def __len__(self) -> int:
    return len(self.words)

  def __getitem__(self, i: int) -> dict[str, Any]:
    return {"words": self.words[i], "label": self.tags[i]}


@dataclass(frozen=True)
class _Sentence:
  """Words and tags as they stand in a file; each with its line."""

  words: tuple[str, ...]
  tags: tuple[str, ...]
  lines: tuple[int, ...]


def conll(
  path: str | Path,
  *,
  word: int = 0,
  tag: int | None = -1,
  name: str | None = None,
  label_names: Sequence[str] | None = None,
) -> Sentences:
  """Reads one word a line, in columns, with an empty line after a sentence.

  Columns are parted by tabs, or by spaces where a line has no tab. Tags are O,
  B-TYPE and I-TYPE (IOB1 or IOB2).

  Args:
    path: a UTF-8 file.
    word: the word's column, from 0; from the end where negative.
    tag: the tag's column, or None for words without tags.
    name: of the source; the file's name if not given.
    label_names: the tags in the order of their ids; the sorted ones if not
      given. Give training's names to every other split.

  Raises:
    UserError: with file and line, for a line without its columns, or a tag
      that is none or unknown.
  """
  path, found = Path(path), []
  rows: list[tuple[int, str, str]] = []
  for number, line in enumerate([*read_text(path).split("\n"), ""], 1):
    # Some files have a mark of the byte order inside.
    line = line.strip("\r\ufeff")
    if line.strip(_BLANK) and not line.startswith(_DOCUMENT):
      where = f"{path}:{number}"
      fields = re.split("\t" if "\t" in line else " +", line.strip(" "))
      given = None if tag is None else _field(fields, tag, where, "tag")
      if tag is not None and len(fields) < 2:
        raise UserError(f"{where}: {line[:40]!r} has no tag beside the word.")
      rows.append((number, _field(fields, word, where, "word"), given or "O"))
    elif rows:
      lines, words, tags = zip(*rows, strict=True)
      found.append(_Sentence(words, tags, lines))
      rows = []
  return _source(path, found, name, label_names)


def tagged_jsonl(
  path: str | Path,
  *,
  words: str = "words",
  tags: str | None = "tags",
  name: str | None = None,
  label_names: Sequence[str] | None = None,
) -> Sentences:
  """Reads one object a line, with a list of words and one of their tags.

  Args:
    path: a UTF-8 file.
    words: the key of the words.
    tags: the key of the tags, texts or, with `label_names`, their ids; None
      for words without tags.
    name, label_names: as for `conll`.

  Raises:
    UserError: with file and line, for lists of different lengths, a sentence
      without words, or a tag that is none or unknown.
  """
  path, found = Path(path), []
  for number, row in enumerate(read_text(path).split("\n"), 1):
    if not row.strip():
      continue
    where = f"{path}:{number}"
    record = read_object(where, row)
    ours = _list(record, words, where, (str,))
    if not ours or not all(text.strip(_BLANK) for text in ours):
      raise UserError(f"{where}: {words!r} holds no word, or an empty one.")
    for text in ours:
      check_characters(f"{where}: {words!r}", text)
    theirs = ["O"] * len(ours)
    if tags is not None:
      theirs = _list(record, tags, where, (str, int))
      theirs = [_named(tag, label_names, where) for tag in theirs]
    if len(theirs) != len(ours):
      raise UserError(
        f"{where}: {len(theirs)} tags for {len(ours)} words; each word has one."
      )
    lines = (number,) * len(ours)
    found.append(_Sentence(tuple(ours), tuple(theirs), lines))
  return _source(path, found, name, label_names)


def _field(fields: list[str], column: int, where: str, what: str) -> str:
  if not -len(fields) <= column < len(fields):
    raise UserError(
      f"{where}: no column {column} for the {what}, the line has"
      f" {len(fields)}: {fields[:5]}."
    )
  if not (found := fields[column].strip(_BLANK)):
    raise UserError(f"{where}: the {what} in column {column} is empty.")
  return found


def _list(
  record: Mapping[str, Any], key: str, where: str, kinds: tuple[type, ...]
) -> list[Any]:
  if key not in record:
    raise UserError(f"{where}: no {key!r}.{did_you_mean(key, record)}")
  found = record[key]
  if not isinstance(found, list) or not all(
    isinstance(item, kinds) and not isinstance(item, bool) for item in found
  ):
    named = " or ".join(kind.__name__ for kind in kinds)
    raise UserError(f"{where}: {key!r} must be a list of {named}.")
  return found


def _named(tag: str | int, names: Sequence[str] | None, where: str) -> str:
  if isinstance(tag, str):
    return tag
  if names is None or not 0 <= tag < len(names):
    raise UserError(
      f"{where}: the tag {tag} is a number; give data.label_names, which has"
      f" {len(names or ())} names."
    )
  return names[tag]


def _source(
  path: Path,
  found: list[_Sentence],
  name: str | None,
  label_names: Sequence[str] | None,
) -> Sentences:
  if not found:
    raise UserError(f"{path} holds no sentence.")
  known = label_names or sorted({tag for s in found for tag in s.tags})
  ids = {tag: i for i, tag in enumerate(known)}
  for sentence in found:
    for tag, line in zip(sentence.tags, sentence.lines, strict=True):
      if not _TAG.fullmatch(tag):
        raise UserError(
          f"{path}:{line}: the tag {tag[:40]!r} is neither O, B-TYPE nor"
          " I-TYPE; see which column holds the tags (data.label_column)."
        )
      if tag not in ids:
        raise UserError(
          f"{path}:{line}: the tag {tag!r} is none of the {len(ids)} of"
          f" training, {list(ids)[:10]}.{did_you_mean(tag, ids)} Give all tags"
          " in data.label_names."
        )
  return Sentences(
    [s.words for s in found],
    [np.array([ids[tag] for tag in s.tags], np.int32) for s in found],
    name or path.stem,
    tuple(known),
    str(path),
    [s.lines[0] for s in found],
  )
