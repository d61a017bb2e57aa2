"""Equal examples, by the hashes of their inputs."""

import numpy as np

from jft.typing import Int, UInt8

_Rows = UInt8[np.ndarray, "n 32"]


def matches(ours: _Rows, theirs: _Rows) -> Int[np.ndarray, "n"]:
  """Returns for each of our hashes where it first is in theirs, else -1.

  >>> a, b = np.eye(2, 32, dtype=np.uint8)
  >>> matches(np.stack([a, b]), np.stack([b * 3, a, a])).tolist()
  [1, -1]
  """
  a, b = _keys(ours), _keys(theirs)
  values, first = np.unique(b, return_index=True)
  at = np.minimum(np.searchsorted(values, a), len(values) - 1)
  return np.where(values[at] == a, first[at], -1)


def groups(rows: _Rows) -> list[np.ndarray]:
  """Returns the indices of each set of equal hashes, of two or more.

  >>> a, b = np.eye(2, 32, dtype=np.uint8)
  >>> [group.tolist() for group in groups(np.stack([b, a, b]))]
  [[0, 2]]
  """
  _, inverse, count = np.unique(
    _keys(rows), return_inverse=True, return_counts=True
  )
  order = np.argsort(inverse, kind="stable")
  parts = np.split(order, np.cumsum(count)[:-1])
  return sorted((part for part in parts if len(part) > 1), key=lambda p: p[0])


def _keys(rows: np.ndarray) -> np.ndarray:
  return np.ascontiguousarray(rows).view("S32").ravel()
