"""Labels: class names to ids, numbers, and both checked against the source."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from jft.errors import UserError, did_you_mean

KINDS = ("class", "multi", "number", "tags", "pairs", "document")
"""What a source's labels are: a class, several, a number, a tag for each word;
none where texts belong together, or where the next token is asked."""


def kind_of(source: Any) -> str:
  """Returns the kind of a source's labels; classes where it does not say."""
  return getattr(source, "label_kind", "class")


def check_number(label: Any, index: int, source: Any) -> float:
  """Returns the label as a float, if it is one finite number.

  Raises:
    UserError: naming the example and its label.
  """
  where = f"example {index} of {source.name}"
  if label is None:
    raise UserError(
      f'{where} has no "label"; training needs one in every example.'
    )
  if np.ndim(label) or np.asarray(label).dtype.kind not in "iuf":
    raise UserError(f"{where}: a target is one number, got {label!r}.")
  if not np.isfinite(label):
    raise UserError(f"{where}: a target must be finite, got {label!r}.")
  return float(label)


def labels_of(source: Any) -> np.ndarray:
  """Returns Int32[n], every example's label.

  Uses the source's own `labels` where it has them, else reads each example.

  Raises:
    UserError: for an example without a label.
  """
  known = getattr(source, "labels", None)
  if known is not None:
    return np.asarray(known)
  return np.array(
    [
      check_label(source[i].get("label"), i, source) for i in range(len(source))
    ],
    np.int32,
  )


def check_label(label: Any, index: int, source: Any) -> int:
  """Returns the label as an int, if it is one of the source's classes.

  Raises:
    UserError: naming the example, its label and the number of classes.
  """
  names = source.label_names
  where = f"example {index} of {source.name}"
  if label is None:
    raise UserError(
      f'{where} has no "label"; training needs one in every example.'
    )
  if not isinstance(label, (int, np.integer)) and (
    np.ndim(label) or not np.issubdtype(np.asarray(label).dtype, np.integer)
  ):
    raise UserError(f"{where}: a label is one integer, got {label!r}.")
  value = int(label)
  if value < 0 or (names is not None and value >= len(names)):
    classes = "" if names is None else f" of {len(names)} classes"
    last = "" if names is None else f", expected 0 to {len(names) - 1}"
    raise UserError(f"{where} has label {value}, which is none{classes}{last}.")
  return value


def encode_labels(
  values: Sequence[str],
  lines: Sequence[int],
  path: str,
  label_names: Sequence[str] | None = None,
) -> tuple[np.ndarray, tuple[str, ...]]:
  """Turns a file's label column into ids.

  Without `label_names` the classes are the sorted distinct values (sorted as
  numbers if all are integers). With them, a value is a name; if the values are
  integers and the names are not, a value is the id itself.

  Args:
    values: the column, as text.
    lines: each value's line in the file, for messages.
    path: the file, for messages.
    label_names: the classes in the order of their ids.

  Returns:
    Int32[n] ids and the names.

  Raises:
    UserError: for an unknown label, with its file and line.
  """
  distinct = sorted(set(values))
  # Longer ones are names: int() refuses thousands of digits.
  integers = all(re.fullmatch(r"[+-]?\d{1,18}", value) for value in distinct)
  if label_names is None:
    _reject_numbers(distinct, integers, path)
    label_names = sorted(distinct, key=int) if integers else distinct
  names = tuple(label_names)
  ids = {name: i for i, name in enumerate(names)}
  if integers and not any(value in ids for value in distinct):
    ids = {str(i): i for i in range(len(names))}
  for value, line in zip(values, lines, strict=True):
    if value not in ids:
      raise UserError(
        f"{path}:{line}: label {value!r} is none of the {len(names)} classes"
        f" {list(names)[:10]}.{did_you_mean(value, names)}"
      )
  return np.array([ids[value] for value in values], np.int32), names


def parse_numbers(
  values: Sequence[str], lines: Sequence[int], path: str
) -> np.ndarray:
  """Turns a file's label column into numbers.

  Args:
    values: the column, as text.
    lines: each value's line in the file, for messages.
    path: the file, for messages.

  Returns:
    Float64[n].

  Raises:
    UserError: for what is no finite number, with its file and line.
  """
  numbers = []
  for value, line in zip(values, lines, strict=True):
    try:
      number = float(value)
    except ValueError:
      raise UserError(
        f"{path}:{line}: the target {value[:40]!r} is no number."
      ) from None
    if not np.isfinite(number):
      raise UserError(f"{path}:{line}: the target {value!r} is not finite.")
    numbers.append(number)
  return np.array(numbers, np.float64)


def _reject_numbers(distinct: list[str], integers: bool, path: str) -> None:
  """Real numbers are targets of a regression, not a thousand classes."""
  try:
    numbers = [float(value) for value in distinct]
  except ValueError:
    return
  if not integers:
    raise UserError(
      f"{path}: the labels are real numbers ({numbers[0]:g}, ...); this reads"
      " classes: give a column of integers or names, or set"
      " task.name='regression'."
    )
