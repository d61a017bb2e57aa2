"""Texts with labels or targets from CSV, TSV and JSON Lines files."""

import csv as csv_format
import io
import json
import re
import reprlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from jft.data import multi_labels
from jft.data.labels import encode_labels, parse_numbers
from jft.data.sources.arrays import Arrays, arrays
from jft.errors import UserError, did_you_mean

Column = str | int
Kind = Literal["class", "multi", "number", "pairs"]


def csv(
  path: str | Path,
  *,
  text: Column,
  label: Column | Sequence[Column] | None,
  text_pair: Column | None = None,
  negative: Column | None = None,
  delimiter: Literal["auto", "\t", ","] = "auto",
  header: bool = True,
  name: str | None = None,
  label_names: Sequence[str] | None = None,
  label_kind: Kind = "class",
  label_separator: str = ",",
) -> Arrays:
  """Reads texts and their classes from a CSV or TSV file.

  With a comma, fields may be quoted; with a tab, quotes are plain characters.

  Args:
    path: a UTF-8 file.
    text: the text's column, by its name in the header or counted from 0.
    label: the label's column, or None for texts without labels; several
      columns of 0 and 1, one for each class, where the kind is "multi".
    text_pair: the second text's column, for tasks on pairs.
    negative: that of a text that does not belong to the first.
    delimiter: "auto" takes a tab if the first line holds one, else a comma.
    header: whether the first line names the columns.
    name: of the source; the file's name if not given.
    label_names: the classes in the order of their ids; the sorted values if
      not given. Give training's names to every other split.
    label_kind: "number" reads real numbers, the targets of a regression;
      "multi" any number of classes; "pairs" no label.
    label_separator: between the names of a "multi" label's column.

  Returns:
    A source of {"text", "text_pair"?, "negative"?, "label"?}.

  Raises:
    UserError: with file and line, for what cannot be read or an unknown
      label.
  """
  path = Path(path)
  several = {} if isinstance(label, str | int | None) else _each(label)
  columns = {
    "text": text,
    "text_pair": text_pair,
    "negative": negative,
    **(several or {"label": label}),
  }
  records = _records(path, columns, delimiter, header)
  if several:
    records = [
      (line, _one_label(record, several, f"{path}:{line}"))
      for line, record in records
    ]
    label_names = label_names or [str(column) for column in several.values()]
  elif label_kind == "multi" and label is not None:
    for _, record in records:
      record["label"] = multi_labels.split(record["label"], label_separator)
  return _source(path, records, name, label_names, label_kind)


def _records(
  path: Path, columns: dict[str, Any], delimiter: str, header: bool
) -> list[tuple[int, dict[str, Any]]]:
  """Returns (line, {name: field}) of every row, for the columns there are."""
  wanted = {
    key: column for key, column in columns.items() if column is not None
  }
  rows = read_fields(path, delimiter)
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
  return records


def _one_label(
  record: dict[str, Any], several: dict[str, Column], where: str
) -> dict[str, Any]:
  """Joins the columns of several classes to the list of those that are 1."""
  fields = {str(column): record[key] for key, column in several.items()}
  rest = {key: x for key, x in record.items() if key not in several}
  return {**rest, "label": multi_labels.chosen(fields, where)}


def _each(label: Sequence[Column]) -> dict[str, Column]:
  """Names for several columns that no other column has."""
  return {f"label {i}": column for i, column in enumerate(label)}


def jsonl(
  path: str | Path,
  *,
  text: str = "text",
  label: str | None = "label",
  text_pair: str | None = None,
  negative: str | None = None,
  name: str | None = None,
  label_names: Sequence[str] | None = None,
  label_kind: Kind = "class",
) -> Arrays:
  """Reads texts and their classes from a file of one JSON object a line.

  Args:
    path: a UTF-8 file.
    text: the text's key.
    label: the label's key (an integer or a string, or a list of such where the
      kind is "multi"), or None.
    text_pair: the second text's key.
    negative: that of a text that does not belong to the first.
    name: of the source; the file's name if not given.
    label_names, label_kind: as for `csv`.

  Returns:
    A source of {"text", "text_pair"?, "negative"?, "label"?}.

  Raises:
    UserError: with file and line, for what cannot be read or an unknown
      label.
  """
  path = Path(path)
  keys = {
    "text": text,
    "text_pair": text_pair,
    "negative": negative,
    "label": label,
  }
  wanted = {name: key for name, key in keys.items() if key is not None}
  records = []
  for line, row in enumerate(read_text(path).split("\n"), 1):
    if row.strip():
      where = f"{path}:{line}"
      records.append((line, _record(where, row, wanted, label_kind)))
  return _source(path, records, name, label_names, label_kind)


def read_object(where: str, row: str) -> dict[str, Any]:
  """Returns the JSON object of one line.

  Raises:
    UserError: if it is none.
  """
  try:
    found = json.loads(row)
  # A number of 5000 digits is a ValueError and no JSONDecodeError.
  except (ValueError, RecursionError) as error:
    raise UserError(f"{where}: not JSON: {error}") from error
  if not isinstance(found, dict):
    raise UserError(f"{where}: expected an object, got {row[:40]!r}.")
  return found


def _record(
  where: str, row: str, wanted: dict[str, str], label_kind: str
) -> dict[str, Any]:
  found = read_object(where, row)
  numbers = (int, float) if label_kind == "number" else (str, int)
  expected = "a number" if label_kind == "number" else "an integer or a string"
  record = {}
  for name, key in wanted.items():
    if key not in found:
      raise UserError(f"{where}: no {key!r}.{did_you_mean(str(key), found)}")
    value = found[key]
    if name == "label" and label_kind == "multi":
      record[name] = _names(f"{where}: {key!r}", value)
      continue
    kinds = numbers if name == "label" else str
    if not isinstance(value, kinds) or isinstance(value, bool):
      raise UserError(
        f"{where}: {key!r} must be"
        f" {expected if name == 'label' else 'a string'}, got"
        f" {reprlib.repr(value)}."
      )
    record[name] = check_characters(f"{where}: {key!r}", str(value))
  return record


def _names(where: str, value: Any) -> list[str]:
  for x in value if isinstance(value, list) else [None]:
    if not isinstance(x, str | int) or isinstance(x, bool):
      raise UserError(
        f"{where} must be a list of integers or strings, got"
        f" {reprlib.repr(value)}."
      )
  return [check_characters(where, str(x)) for x in value]


def check_characters(where: str, text: str) -> str:
  """Returns the text, if all of it are characters.

  Raises:
    UserError: naming where it stands.
  """
  if re.search("[\ud800-\udfff]", text):
    raise UserError(
      f"{where} holds half of a surrogate pair, which is no character; write"
      " the text anew."
    )
  return text


def read_fields(
  path: Path, delimiter: str = "auto"
) -> Iterator[tuple[int, list[str]]]:
  """Yields the line and the fields of every row; see `csv`.

  Raises:
    UserError: with file and line, for what cannot be read.
  """
  content = read_text(path)
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


def read_text(path: Path) -> str:
  """Returns a file's text, without a mark of the byte order.

  Raises:
    UserError: if it cannot be read or is no UTF-8, with the line.
  """
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
  records: list[tuple[int, dict[str, Any]]],
  name: str | None,
  label_names: Sequence[str] | None,
  label_kind: Kind,
) -> Arrays:
  if not records:
    raise UserError(f"{path} holds no examples.")
  columns: dict[str, Any] = {
    key: [record[key] for _, record in records] for key in records[0][1]
  }
  if "label" in columns:
    lines = [line for line, _ in records]
    given = columns["label"], lines, str(path)
    if label_kind == "number":
      columns["label"], label_names = parse_numbers(*given), None
    elif label_kind == "multi":
      columns["label"], label_names = multi_labels.encode(*given, label_names)
    else:
      columns["label"], label_names = encode_labels(*given, label_names)
  return arrays(
    columns,
    name=name or path.stem,
    label_names=label_names,
    label_kind=label_kind,
  )
