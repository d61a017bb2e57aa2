"""An example's label, checked to be one of its source's kind."""

from typing import Any

import numpy as np

from jft.data import multi_labels
from jft.data.labels import check_label, check_number, kind_of


def checked(label: Any, index: int, source: Any) -> np.ndarray:
  """Returns an example's label as an array, if it is one of its kind.

  Raises:
    UserError: naming the example and its label.
  """
  kind = kind_of(source)
  if kind == "number":
    return np.asarray(check_number(label, index, source), np.float32)
  if kind == "multi":
    return multi_labels.check(label, index, source)
  if kind == "tags":
    return np.array([check_label(x, index, source) for x in label], np.int32)
  return np.asarray(check_label(label, index, source), np.int32)
