"""Config -> sources: the strings of a config's section "data" opened."""

import os
import re
import types

from jft import data
from jft.data import Source
from jft.errors import UserError, did_you_mean
from jft.typing import Any, Callable, Mapping

KINDS = (
  "sklearn",
  "tfds",
  "idx",
  "folder",
  "csv",
  "jsonl",
  "conll",
  "text",
  "json",
)


def open_source(
  text: str,
  c: Any,
  label_names: tuple[str, ...] | None,
  label_kind: str = "class",
) -> Source:
  """Opens what a string such as "csv:$DIR/train.tsv" names.

  Args:
    text: "KIND:REST", $VARIABLES expanded.
    c: the config's section "data", for columns and policies.
    label_names: the classes in index order, or None to take the source's.
    label_kind: what the task reads; see `task.label_kind`.
  """
  expanded = os.path.expandvars(text)
  if missing := re.findall(r"\$\{?(\w+)", expanded):
    raise UserError(
      f"{text!r}: the environment variable {missing[0]} is not set; it names"
      " the folder of the data (README, 'Data')."
    )
  kind, colon, rest = expanded.partition(":")
  if not colon or kind not in KINDS:
    raise UserError(
      f"data source {text!r}: expected one of"
      f" {', '.join(f'{known}:...' for known in KINDS)}."
      + did_you_mean(kind, KINDS)
    )
  readers = _READERS[label_kind]
  if kind not in readers:
    raise UserError(
      f"data source {text!r}: this task reads {_NAMED[label_kind]} from"
      f" {', '.join(f'{known}:...' for known in readers)}."
    )
  return readers[kind](rest, c, label_names)


def _sklearn(rest: str, c: Any, names: Any) -> Source:
  if rest != "digits":
    raise UserError(f"data source 'sklearn:{rest}': there is sklearn:digits.")
  return data.digits()


def _tfds(rest: str, c: Any, names: Any) -> Source:
  name, _, split = rest.rpartition("/")
  columns = None
  if c.text_column:
    wanted = {"text": c.text_column, "label": c.label_column}
    if c.text_pair_column:
      wanted["text_pair"] = c.text_pair_column
    columns = None if c.text_column == "text" else wanted
  return data.tfds(name, split, columns=columns)


def _idx(rest: str, c: Any, names: Any) -> Source:
  folder, _, split = rest.rpartition("/")
  return data.idx(folder, split, label_names=names)


def _folder(rest: str, c: Any, names: Any) -> Source:
  return data.image_folder(rest, on_error=c.on_error, label_names=names)


def _csv(rest: str, c: Any, names: Any) -> Source:
  return data.csv(rest, **columns(c), header=c.header, label_names=names)


def _jsonl(rest: str, c: Any, names: Any) -> Source:
  return data.jsonl(rest, **columns(c), label_names=names)


def columns(c: Any) -> dict[str, Any]:
  """The columns that a csv's or jsonl's reader takes."""
  return {
    "text": _column(c.text_column),
    "text_pair": _column(c.text_pair_column),
    "negative": _column(c.negative_column),
    "label": _column(c.label_column),
  }


def _csv_several(rest: str, c: Any, names: Any) -> Source:
  options: dict[str, Any] = {
    **columns(c),
    "header": c.header,
    "label_names": names,
    "label_separator": c.label_separator,
  }
  if c.label_columns:
    options["label"] = [_column(name) for name in c.label_columns]
  return data.csv(rest, **options, label_kind="multi")


def _jsonl_several(rest: str, c: Any, names: Any) -> Source:
  return data.jsonl(rest, **columns(c), label_names=names, label_kind="multi")


def _csv_pairs(rest: str, c: Any, names: Any) -> Source:
  options = {**columns(c), "label": None}
  return data.csv(rest, **options, header=c.header, label_kind="pairs")


def _jsonl_pairs(rest: str, c: Any, names: Any) -> Source:
  return data.jsonl(rest, **{**columns(c), "label": None}, label_kind="pairs")


def _csv_numbers(rest: str, c: Any, names: Any) -> Source:
  return data.csv(rest, **columns(c), header=c.header, label_kind="number")


def _jsonl_numbers(rest: str, c: Any, names: Any) -> Source:
  return data.jsonl(rest, **columns(c), label_kind="number")


def _conll(rest: str, c: Any, names: Any) -> Source:
  return data.conll(
    rest,
    word=number("text_column", c.text_column, 0),
    tag=number("label_column", c.label_column, -1),
    label_names=names,
  )


def _tagged_jsonl(rest: str, c: Any, names: Any) -> Source:
  return data.tagged_jsonl(
    rest, words=c.text_column, tags=c.label_column, label_names=names
  )


def _text(rest: str, c: Any, names: Any) -> Source:
  return data.text_documents(rest, separator=c.separator, on_error=c.on_error)


def json_documents(rest: str, c: Any, names: Any) -> Source:
  """Documents of JSON, by the keys that the config gives."""
  return data.json_documents(
    rest, messages=c.messages_column, **_of_documents(c)
  )


def _csv_documents(rest: str, c: Any, names: Any) -> Source:
  if c.messages_column:
    raise UserError(
      f"data.messages_column={c.messages_column!r}: a csv file has no lists of"
      " messages; give data.prompt and data.response, or read .jsonl."
    )
  return data.csv_documents(rest, header=c.header, **_of_documents(c))


def _of_documents(c: Any) -> dict[str, Any]:
  """What the readers of documents in rows have in common."""
  return {
    "text": c.text_column,
    "prompt": c.prompt,
    "response": c.response,
    "system": c.system,
    "on_error": c.on_error,
  }


def number(key: str, column: str, usual: int) -> int:
  """A column of a file without a header; the default's name is the usual."""
  if column in ("text", "label"):
    return usual
  if not column.removeprefix("-").isdecimal():
    raise UserError(
      f"data.{key}={column!r}: a conll file's columns have no names; count from"
      " 0, or from the end with -1."
    )
  return int(column)


def _column(name: str) -> str | int | None:
  return int(name) if name.isdecimal() else name or None


_READERS: Mapping[str, Mapping[str, Callable[..., Source]]] = (
  types.MappingProxyType(
    {
      "class": types.MappingProxyType(
        {
          "sklearn": _sklearn,
          "tfds": _tfds,
          "idx": _idx,
          "folder": _folder,
          "csv": _csv,
          "jsonl": _jsonl,
        }
      ),
      "number": types.MappingProxyType(
        {"csv": _csv_numbers, "jsonl": _jsonl_numbers}
      ),
      "multi": types.MappingProxyType(
        {"csv": _csv_several, "jsonl": _jsonl_several}
      ),
      "pairs": types.MappingProxyType(
        {"csv": _csv_pairs, "jsonl": _jsonl_pairs}
      ),
      "tags": types.MappingProxyType({"conll": _conll, "jsonl": _tagged_jsonl}),
      "document": types.MappingProxyType(
        {
          "text": _text,
          "csv": _csv_documents,
          "json": json_documents,
          "jsonl": json_documents,
        }
      ),
    }
  )
)
"""{kind of label: {kind of source: opener}}."""
_NAMED: Mapping[str, str] = types.MappingProxyType(
  {
    "class": "classes",
    "multi": "several classes an example",
    "number": "numbers",
    "pairs": "texts that belong together",
    "tags": "tagged words",
    "document": "documents",
  }
)
