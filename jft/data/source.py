"""What a source of examples is, and views that pick some of its examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from jft.data.labels import kind_of, labels_of
from jft.data.order import index_at
from jft.errors import UserError


@runtime_checkable
class Source(Protocol):
  """Random access to examples; any object of this shape will do.

  Optional attributes make some calls cheaper: `labels` (Int[n], so that
  nobody decodes an image to learn its class), `content(i) -> bytes` (what
  `split` and `fingerprint` hash in place of the decoded example) and `digests`
  (UInt8[n 32], those hashes). `files` names each example in messages.
  `label_kind` says what a label is, a "class" if it is not there.
  """

  @property
  def name(self) -> str: ...

  @property
  def label_names(self) -> tuple[str, ...] | None: ...

  def __len__(self) -> int: ...

  def __getitem__(self, i: int, /) -> dict[str, Any]: ...


@dataclass(frozen=True, eq=False)
class Subset:
  """Some examples of a source, in a given order; ids count from 0 again."""

  source: Source
  indices: np.ndarray
  name: str
  digests: np.ndarray | None = None
  """UInt8[n 32], the hashes of the inputs, where something has made them."""

  @property
  def label_names(self) -> tuple[str, ...] | None:
    return self.source.label_names

  @property
  def label_kind(self) -> str:
    return kind_of(self.source)

  @property
  def labels(self) -> np.ndarray | None:
    known = getattr(self.source, "labels", None)
    return None if known is None else np.asarray(known)[self.indices]

  def content(self, i: int) -> bytes | None:
    read = getattr(self.source, "content", None)
    return None if read is None else read(int(self.indices[i]))

  def __len__(self) -> int:
    return len(self.indices)

  def __getitem__(self, i: int) -> dict[str, Any]:
    return self.source[int(self.indices[i])]


def subset(
  source: Source, indices: Sequence[int] | np.ndarray, name: str | None = None
) -> Subset:
  """Returns the examples at `indices`, in that order.

  Raises:
    UserError: if no index is given or one lies outside the source.
  """
  picked = np.asarray(indices, np.int64)
  name = name or f"{source.name}[{len(picked)} of {len(source)}]"
  if not len(picked):
    raise UserError(f"{name}: a subset needs at least one index, got none.")
  outside = picked[(picked < 0) | (picked >= len(source))]
  if len(outside):
    raise UserError(
      f"{name}: index {outside[0]} is outside {source.name}, which has"
      f" {len(source)} examples."
    )
  known = getattr(source, "digests", None)
  return Subset(source, picked, name, None if known is None else known[picked])


def origin(source: Source, i: int) -> tuple[Source, int]:
  """Returns what a subset was taken from in the end, and the index there.

  >>> from jft.data.sources.arrays import arrays
  >>> whole = arrays({"text": ["a", "b", "c"]})
  >>> origin(subset(subset(whole, [2, 1]), [1]), 0) == (whole, 1)
  True
  """
  while isinstance(source, Subset):
    source, i = source.source, int(source.indices[i])
  return source, i


def where(source: Source, i: int) -> str:
  """Returns what to call an example: its file, or the source and its number.

  >>> from jft.data.sources.arrays import arrays
  >>> where(subset(arrays({"text": ["a", "b"]}, name="x"), [1]), 0)
  'x[1]'
  """
  source, i = origin(source, i)
  files = getattr(source, "files", None)
  return f"{source.name}[{i}]" if files is None else str(files[i])


def take(source: Source, n: int, seed: int, *, stratify: bool = True) -> Subset:
  """Returns `n` examples drawn at random, the classes as even as possible.

  The choice is nested: `take(s, 10, seed)` holds all of `take(s, 9, seed)`,
  so points of a learning curve differ by the added examples only.

  Args:
    source: any source.
    n: how many examples.
    seed: of the draw.
    stratify: whether to draw the classes in turn; needs labels.

  Raises:
    UserError: if the source has fewer than `n` examples.
  """
  if not 0 < n <= len(source):
    raise UserError(
      f"take: n must be from 1 to {len(source)} (all of {source.name}), got"
      f" {n}."
    )
  order = index_at(np.arange(len(source)), len(source), seed, "take")
  if stratify:
    rank = rank_in_class(labels_of(source)[order])
    order = order[np.argsort(rank, kind="stable")]
  return subset(source, np.sort(order[:n]), f"{source.name}[take {n}]")


def rank_in_class(labels: np.ndarray) -> np.ndarray:
  """Returns, for each entry, how many equal ones come before it."""
  by_class = np.argsort(labels, kind="stable")
  _, start, count = np.unique(
    labels[by_class], return_index=True, return_counts=True
  )
  rank = np.empty(len(labels), np.int64)
  rank[by_class] = np.arange(len(labels)) - np.repeat(start, count)
  return rank
