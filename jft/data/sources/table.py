"""Texts with labels from CSV, TSV and JSON Lines files."""

import csv as csv_format
import io
import json
import re
import reprlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from jft.data.labels import encode_labels
from jft.data.sources.arrays import Arrays, arrays
from jft.errors import UserError, did_you_mean

Column = str | int


def csv(
  path: str | Path,
  *,
  text: Column,
  label: Column | None,
  text_pair: Column | None = None,
  delimiter: Literal["auto", "\t", ","] = "auto",
  header: bool = True,
  name: str | None = None,
  label_names: Sequence[str] | None = None,
) -> Arrays:
  """Reads texts and their classes from a CSV or TSV file.

  With a comma, fields may be quoted; with a tab, quotes are plain characters.

  Args:
    path: a UTF-8 file.
    text: the text's column, by its name in the header or counted from 0.
    label: the label's column, or None for texts without labels.
    text_pair: the second text's column, for tasks on pairs.
    delimiter: "auto" takes a tab if the first line holds one, else a comma.
    header: whether the first line names the columns.
    name: of the source; the file's name if not given.
    label_names: the classes in the order of their ids; the sorted values if
      not given. Give training's names to every other split.

  Returns:
    A source of {"text", "text_pair"?, "label"?}.

  Raises:
    UserError: with file and line, for what cannot be read or an unknown
      label.
  """
  path = Path(path)
  columns = {"text": text, "text_pair": text_pair, "label": label}
  wanted = {
    key: column for key, column in columns.items() if column is not None
  }
  rows = _fields(path, delimiter)
  titles = next(rows, (0, []))[1] if header else None
  at = {key: _column(path, c, titles) for key, c in wanted.items()}
  records = []
  for line, fields in rows:
    if len(fields) <= max(at.values()):
      raise UserError(
        f"{path}:{line}: expected at least {max(at.values()) + 1} columns,"
        f" got {len(fields)}; check the delimiter."
      )
    records.append((line, {key: fields[i] for key, i in at.items()}))
  return _source(path, records, name, label_names)


def jsonl(
  path: str | Path,
  *,
  text: str = "text",
  label: str | None = "label",
  text_pair: str | None = None,
  name: str | None = None,
  label_names: Sequence[str] | None = None,
) -> Arrays:
  """Reads texts and their classes from a file of one JSON object a line.

  Args:
    path: a UTF-8 file.
    text: the text's key.
    label: the label's key (an integer or a string), or None.
    text_pair: the second text's key.
    name: of the source; the file's name if not given.
    label_names: as for `csv`.

  Returns:
    A source of {"text", "text_pair"?, "label"?}.

  Raises:
    UserError: with file and line, for what cannot be read or an unknown
      label.
  """
  path = Path(path)
  keys = {"text": text, "text_pair": text_pair, "label": label}
  wanted = {name: key for name, key in keys.items() if key is not None}
  records = []
  for line, row in enumerate(_read(path).split("\n"), 1):
    if row.strip():
      records.append((line, _record(f"{path}:{line}", row, wanted)))
  return _source(path, records, name, label_names)


def _record(where: str, row: str, wanted: dict[str, str]) -> dict[str, str]:
  try:
    found = json.loads(row)
  # A number of 5000 digits is a ValueError and no JSONDecodeError.
  except (ValueError, RecursionError) as error:
    raise UserError(f"{where}: not JSON: {error}") from error
  if not isinstance(found, dict):
    raise UserError(f"{where}: expected an object, got {row[:40]!r}.")
  record = {}
  for name, key in wanted.items():
    if key not in found:
      raise UserError(f"{where}: no {key!r}.{did_you_mean(str(key), found)}")
    value = found[key]
    kinds = (str, int) if name == "label" else str
    if not isinstance(value, kinds) or isinstance(value, bool):
      raise UserError(
        f"{where}: {key!r} must be"
        f" {'an integer or a string' if name == 'label' else 'a string'}, got"
        f" {reprlib.repr(value)}."
      )
    record[name] = str(value)
    if re.search("[\ud800-\udfff]", record[name]):
      raise UserError(
        f"{where}: {key!r} holds half of a surrogate pair, which is no"
        " character; write the text anew."
      )
  return record


def _fields(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
  content = _read(path)
  if delimiter == "auto":
    delimiter = "\t" if "\t" in content.split("\n", 1)[0] else ","
  if delimiter == "\t":
    # A tab-separated file has no quoting, so it needs no parser.
    for line, row in enumerate(content.split("\n"), 1):
      if row := row.removesuffix("\r"):
        yield line, row.split("\t")
    return
  # Not splitlines: it also ends a line at form feeds, U+2028 and the like.
  lines = io.StringIO(content, newline="")
  reader = csv_format.reader(lines, strict=True)
  line = 1
  try:
    for fields in reader:
      if fields:
        yield line, fields
      line = reader.line_num + 1
  except csv_format.Error as error:
    raise UserError(f"{path}:{line}: {error}.") from error


def _read(path: Path) -> str:
  try:
    return path.read_bytes().decode("utf-8-sig")
  except OSError as error:
    raise UserError(f"{path}: {error.strerror}.") from error
  except UnicodeDecodeError as error:
    line = error.object.count(b"\n", 0, error.start) + 1
    raise UserError(
      f"{path}:{line}: not UTF-8 ({error.reason}); convert the file."
    ) from error
  except ValueError as error:  # a NUL in the path
    raise UserError(f"{str(path)!r} is no path: {error}.") from error


def _column(path: Path, column: Column, titles: list[str] | None) -> int:
  if isinstance(column, int):
    return column
  if titles is None:
    raise UserError(
      f"{path}: column {column!r} is a name, but header=False; count from 0."
    )
  if column not in titles:
    raise UserError(
      f"{path}: no column {column!r} among {titles[:10]}."
      f"{did_you_mean(column, titles)} (header=False if there is no header.)"
    )
  return titles.index(column)


def _source(
  path: Path,
  records: list[tuple[int, dict[str, str]]],
  name: str | None,
  label_names: Sequence[str] | None,
) -> Arrays:
  if not records:
    raise UserError(f"{path} holds no examples.")
  columns: dict[str, Any] = {
    key: [record[key] for _, record in records] for key in records[0][1]
  }
  if "label" in columns:
    lines = [line for line, _ in records]
    columns["label"], label_names = encode_labels(
      columns["label"], lines, str(path), label_names
    )
  return arrays(columns, name=name or path.stem, label_names=label_names)
