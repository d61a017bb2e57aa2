"""Encoded examples by index: made once where they fit into memory."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from jft.data.checked import checked
from jft.data.source import Source
from jft.errors import UserError
from jft.rng import generator
from jft.typing import Batch

Encode = Callable[[Mapping[str, Any]], Mapping[str, Any]]
Map = Callable[..., Iterable[Batch]]

Augment = Callable[[Any, np.random.Generator], Any]
"""(8-bit image or text, randomness) -> one as it; see `jft.augment`."""

_OURS = frozenset({"label", "mask", "id", "part"})


class FixedExamples:
  """Examples of one shape, such as images, encoded when first asked for.

  With `augment`, every epoch anew: nothing is kept.
  """

  lengths: np.ndarray | None = None

  def __init__(
    self,
    source: Source,
    encode: Encode,
    cache_mb: float,
    augment: Augment | None = None,
    seed: int = 0,
  ):
    self._source, self.encode = source, encode
    self._augment, self._seed = augment, seed
    first = self._row(0)
    self.labelled = "label" in first
    self._shapes = {key: value.shape for key, value in first.items()}
    size = sum(value.nbytes for value in first.values()) * len(source)
    self.cached = augment is None and size <= cache_mb * 2**20
    # The pages of an empty array take no memory until they are written.
    self._columns = {
      key: np.empty((len(source) * self.cached, *value.shape), value.dtype)
      for key, value in first.items()
    }
    self._filled = np.zeros(len(source), bool)

  def take(
    self,
    indices: np.ndarray,
    length: int | None = None,
    run: Map = map,
    epochs: np.ndarray | None = None,
  ) -> Batch:
    """Returns the stacked inputs, and labels where the source has them.

    Args:
      indices: Int[b].
      length: not used; of `TokenExamples`.
      run: `map`, or that of a pool, to encode on several threads.
      epochs: Int[b], for which the examples are augmented; 0 if not given.
    """
    if not self.cached:
      passes = [0] * len(indices) if epochs is None else epochs.tolist()
      rows = list(run(self._row, map(int, indices), passes))
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

  def _row(self, i: int, epoch: int = 0) -> Batch:
    try:
      example = self._source[i]
      if self._augment is not None:
        draw = generator(self._seed, "augment", epoch, i)
        image = self._augment(np.asarray(example["image"]), draw)
        example = {**example, "image": image}
      row = {k: np.asarray(v) for k, v in self.encode(example).items()}
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
