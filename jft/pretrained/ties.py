"""Tensors that only repeat another, as a decoder repeats its embedding."""

import re

import numpy as np

from jft.errors import UserError
from jft.typing import Mapping, Rules


def tied(
  source: Mapping[str, np.ndarray], ties: Mapping[str, str] | None
) -> Rules:
  """Returns the rules that drop a source's copies, once they are known equal.

  Args:
    source: {name: array}, read one at a time.
    ties: {name of a copy: name of what it must equal}; those that are not in
      the source matter to nobody.

  Raises:
    UserError: for a copy that differs: loading one of the two would compute
      something else than the source does.

  >>> arrays = {"decoder": np.ones(2), "embedding": np.ones(2)}
  >>> tied(arrays, {"decoder": "embedding"})
  [('decoder', "tied to 'embedding', and equal")]
  """
  rules = []
  for copy, original in (ties or {}).items():
    if copy in source and original in source:
      _check_equal(source, copy, original)
      rules.append((re.escape(copy), f"tied to {original!r}, and equal"))
  return rules


def _check_equal(
  source: Mapping[str, np.ndarray], copy: str, original: str
) -> None:
  one, other = np.asarray(source[copy]), np.asarray(source[original])
  if one.shape != other.shape or not np.array_equal(one, other):
    raise UserError(
      f"{copy} {one.shape} must repeat {original} {other.shape}, as the model"
      " has one tensor for both, but it differs; the source was trained with"
      " the two apart. Drop its head by num_classes=0, or load another task."
    )
