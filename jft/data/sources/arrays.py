"""Examples that are already in memory, one column each."""

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from jft.data import multi_labels
from jft.data.labels import check_number
from jft.errors import UserError


@dataclass(frozen=True, eq=False)
class Arrays:
  """A source over columns of equal length."""

  columns: Mapping[str, Any]
  name: str
  label_names: tuple[str, ...] | None
  label_kind: str = "class"

  @property
  def labels(self) -> np.ndarray | None:
    return self.columns.get("label")

  def __len__(self) -> int:
    return len(next(iter(self.columns.values())))

  def __getitem__(self, i: int) -> dict[str, Any]:
    return {key: column[i] for key, column in self.columns.items()}


def arrays(
  columns: Mapping[str, Any],
  *,
  name: str = "arrays",
  label_names: Sequence[str] | None = None,
  label_kind: Literal["class", "multi", "number", "pairs"] = "class",
) -> Arrays:
  """Makes a source of arrays or lists with the same first axis.

  Args:
    columns: such as {"image": UInt8[n h w c], "label": Int[n]}.
    name: of the source, in messages and reports.
    label_names: the classes in the order of their ids.
    label_kind: "number" takes real numbers, the targets of a regression;
      "multi" rows of zeros and ones, a column for each class; "pairs" none, of
      texts that belong together.

  Raises:
    UserError: if columns are empty or of different lengths, or a label is
      not one of the classes.

  >>> source = arrays({"text": ["good", "bad"], "label": [1, 0]})
  >>> source[0]["text"], int(source[0]["label"])
  ('good', 1)
  """
  columns = dict(columns)
  lengths = {key: len(column) for key, column in columns.items()}
  if len(set(lengths.values())) != 1:
    raise UserError(f"{name}: columns must be of one length, got {lengths}.")
  if not next(iter(lengths.values())):
    raise UserError(f"{name} is empty: every column has length 0.")
  names = None if label_names is None else tuple(label_names)
  if "label" in columns and label_kind == "number":
    columns["label"] = _numbers(columns["label"], name)
  elif "label" in columns and label_kind == "multi":
    columns["label"] = _several(columns["label"], name, names)
  elif label_kind == "pairs":
    # They belong together: the same answer for all.
    columns["label"] = np.zeros(next(iter(lengths.values())), np.int32)
  elif "label" in columns:
    columns["label"] = _labels(columns["label"], name, names)
  return Arrays(columns, name, names, label_kind)


def _numbers(column: Any, name: str) -> np.ndarray:
  whole = types.SimpleNamespace(name=name)
  return np.array(
    [check_number(value, i, whole) for i, value in enumerate(column)],
    np.float64,
  )


def _several(
  column: Any, name: str, names: tuple[str, ...] | None
) -> np.ndarray:
  whole = types.SimpleNamespace(name=name, label_names=names)
  rows = [multi_labels.check(row, i, whole) for i, row in enumerate(column)]
  return np.stack(rows)


def _labels(
  column: Any, name: str, names: tuple[str, ...] | None
) -> np.ndarray:
  labels = np.asarray(column)
  if labels.ndim != 1 or labels.dtype.kind not in "iu":
    raise UserError(
      f'{name}: "label" must hold one integer an example, got'
      f" {labels.dtype} of shape {labels.shape}."
    )
  count = None if names is None else len(names)
  bad = (labels < 0) if count is None else (labels < 0) | (labels >= count)
  if bad.any():
    i = int(np.flatnonzero(bad)[0])
    raise UserError(
      f"example {i} of {name} has label {labels[i]}, which is none of"
      f" {'the' if count is None else count} classes (ids count from 0;"
      f" {int(bad.sum())} such labels in all)."
    )
  return labels.astype(np.int32)
