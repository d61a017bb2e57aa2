"""Several labels an example: lists of names to rows of zeros and ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jft.data.labels import encode_labels
from jft.errors import UserError


def split(text: str, separator: str) -> list[str]:
  """Returns the names in one field; an empty one holds none.

  >>> split(" toxic|insult ", "|"), split("", "|")
  (['toxic', 'insult'], [])
  """
  return [name for part in text.split(separator) if (name := part.strip())]


def chosen(fields: Mapping[str, str], where: str) -> list[str]:
  """Returns the names of the columns that hold a yes.

  Args:
    fields: {name of the class: "0" or "1"}.
    where: for messages.

  Raises:
    UserError: for anything else.

  >>> chosen({"toxic": "1", "insult": "0"}, "a.csv:2")
  ['toxic']
  """
  for name, value in fields.items():
    if value.strip() not in ("0", "1"):
      raise UserError(
        f"{where}: the column {name!r} is 1 where the text is of that class and"
        f" 0 where not, got {value[:40]!r}."
      )
  return [name for name, value in fields.items() if value.strip() == "1"]


def encode(
  values: Sequence[Sequence[str]],
  lines: Sequence[int],
  path: str,
  label_names: Sequence[str] | None = None,
) -> tuple[np.ndarray, tuple[str, ...]]:
  """Turns lists of names into rows of zeros and ones.

  Without `label_names` the classes are the sorted distinct names.

  Args:
    values: of each example, the classes that it is of.
    lines: each example's line in the file, for messages.
    path: the file, for messages.
    label_names: the classes in the order of their ids.

  Returns:
    Float32[n k] and the names.

  Raises:
    UserError: for an unknown name, with its file and line; or for none at all.

  >>> encode([["b"], [], ["b", "a"]], [1, 2, 3], "x")[0].tolist()
  [[0.0, 1.0], [0.0, 0.0], [1.0, 1.0]]
  """
  flat = [name for names in values for name in names]
  if not flat and label_names is None:
    raise UserError(f"{path}: no example has a label; see data.label_column.")
  counts = [len(names) for names in values]
  ids, names = encode_labels(
    flat, np.repeat(lines, counts).tolist(), path, label_names
  )
  rows = np.zeros((len(values), len(names)), np.float32)
  rows[np.repeat(np.arange(len(values)), counts), ids] = 1
  return rows, names


def check(label: Any, index: int, source: Any) -> np.ndarray:
  """Returns an example's row, Float32[k], if it is one of zeros and ones.

  Raises:
    UserError: naming the example and its label.
  """
  row = np.asarray(label)
  wanted = None if source.label_names is None else len(source.label_names)
  if (
    row.ndim != 1
    or row.dtype.kind not in "iufb"
    or len(row) != (wanted or len(row))
    or not np.isin(row, (0, 1)).all()
  ):
    raise UserError(
      f"example {index} of {source.name}: a label is a row of"
      f" {wanted or 'k'} zeros and ones, got {label!r}."
    )
  return row.astype(np.float32)
