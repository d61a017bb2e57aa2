"""Encoded examples by index: made once where they fit into memory."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from jft.data.labels import checked
from jft.data.source import Source
from jft.errors import UserError
from jft.typing import Batch

Encode = Callable[[Mapping[str, Any]], Mapping[str, Any]]
Map = Callable[[Callable[[int], Batch], Iterable[int]], Iterable[Batch]]

_OURS = frozenset({"label", "mask", "id", "part"})


class FixedExamples:
  """Examples of one shape, such as images, encoded when first asked for."""

  lengths: np.ndarray | None = None

  def __init__(self, source: Source, encode: Encode, cache_mb: float):
    self._source, self._encode = source, encode
    first = self._row(0)
    self.labelled = "label" in first
    self._shapes = {key: value.shape for key, value in first.items()}
    size = sum(value.nbytes for value in first.values()) * len(source)
    self.cached = size <= cache_mb * 2**20
    # The pages of an empty array take no memory until they are written.
    self._columns = {
      key: np.empty((len(source) * self.cached, *value.shape), value.dtype)
      for key, value in first.items()
    }
    self._filled = np.zeros(len(source), bool)

  def take(
    self, indices: np.ndarray, length: int | None = None, run: Map = map
  ) -> Batch:
    """Returns the stacked inputs, and labels where the source has them.

    Args:
      indices: Int[b].
      length: not used; of `TokenExamples`.
      run: `map`, or that of a pool, to encode on several threads.
    """
    if not self.cached:
      rows = list(run(self._row, map(int, indices)))
      return {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    missing = np.unique(indices[~self._filled[indices]])
    for i, row in zip(missing, run(self._row, map(int, missing)), strict=True):
      for key, value in row.items():
        self._columns[key][i] = value
      self._filled[i] = True
    return {
      key: np.take(column, indices, axis=0)
      for key, column in self._columns.items()
    }

  def _row(self, i: int) -> Batch:
    try:
      example = self._source[i]
      row = {k: np.asarray(v) for k, v in self._encode(example).items()}
    except UserError as error:
      raise UserError(f"example {i} of {self._source.name}: {error}") from error
    except Exception as error:
      error.add_note(f"in example {i} of {self._source.name}")
      raise
    if taken := _OURS & row.keys():
      raise UserError(f"encode may not return {sorted(taken)}; inputs only.")
    if "label" in example:
      row["label"] = checked(example["label"], i, self._source)
    shapes = {key: value.shape for key, value in row.items()}
    if i and shapes != self._shapes:
      raise UserError(
        f"example {i} of {self._source.name} has shapes {shapes}, but example"
        f" 0 has {self._shapes}; encode must return one shape for all."
      )
    return row
