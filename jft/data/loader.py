"""Batches as a pure function of the step, made ahead on threads."""

import dataclasses
import itertools
import os
import types
from collections.abc import (
  Callable,
  Generator,
  Iterable,
  Iterator,
  Mapping,
  Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from jft.data.buckets import bucket_of, buckets
from jft.data.by_class import ByClass
from jft.data.examples import Augment, Encode, FixedExamples, Map
from jft.data.labels import labels_of
from jft.data.masking import MaskedExamples
from jft.data.order import BucketedOrder, ShuffledOrder
from jft.data.prefetch import prefetch
from jft.data.source import Source, origin
from jft.data.text import Tokenizer
from jft.data.token_rows import RowExamples, TokenRows
from jft.data.tokens import TokenExamples
from jft.errors import UserError
from jft.typing import Batch


@dataclass(frozen=True)
class Reading:
  """How a loader reads: none of it changes what is in a batch."""

  cache_mb: float = 1024
  """Encoded examples stay in memory if all of them take no more than this."""
  prefetch: int = 2
  """Batches made ahead; 0 makes each one when it is asked for."""
  workers: int = min(16, os.cpu_count() or 1)
  """Threads that decode and encode."""
  process_index: int = 0
  process_count: int = 1
  """Each process gets its equal slice of every global batch."""


@dataclass(frozen=True, eq=False)
class _Batches:
  source: Source
  batch_size: int
  """Of the global batch, over all processes."""
  examples: FixedExamples | TokenExamples | RowExamples
  buckets: tuple[int, ...] | None
  order: Any
  reading: Reading

  @property
  def num_examples(self) -> int:
    return len(self.source)

  def _batch(
    self,
    indices: np.ndarray,
    real: int,
    run: Map,
    epochs: np.ndarray | None = None,
  ) -> Batch:
    """Returns this process's rows of a global batch of `real` examples."""
    length, tokens = None, self.examples.lengths
    if tokens is not None and self.buckets is not None:
      # Of the global batch: every process must pad to the same length.
      length = bucket_of(int(tokens[indices].max()), self.buckets)
    size = self.batch_size // self.reading.process_count
    first = self.reading.process_index * size
    mine = indices[first : first + size]
    passes = None if epochs is None else epochs[first : first + size]
    mask = np.arange(first, first + size) < real
    return {
      **self.examples.take(mine, length, run, passes),
      "mask": mask.astype(np.float32),
      "id": np.where(mask, mine, -1).astype(np.int32),
    }

  def _ahead(
    self, make: Callable[[int, Map], Batch], numbers: Iterable[int]
  ) -> Generator[Batch, None, None]:
    with ThreadPoolExecutor(self.reading.workers) as pool:
      yield from prefetch(
        lambda number: make(number, pool.map), numbers, self.reading.prefetch
      )


@dataclass(frozen=True, eq=False)
class TrainBatches(_Batches):
  """Endless shuffled batches; made by `batches`."""

  offset: int = 0
  """Batches left out before step 0 (see `skip`)."""

  @property
  def steps_per_epoch(self) -> float:
    return self.num_examples / self.batch_size

  def batch_at(self, step: int) -> Batch:
    """Returns the batch of a step, always the same one.

    Returns:
      The inputs, `label` Int32[b], `mask` Float32[b] and `id` Int32[b], where
      b is the process's share of the batch size.
    """
    return self._at(int(step), map)

  def from_step(
    self, step: int, until: int | None = None
  ) -> Generator[Batch, None, None]:
    """Yields the batches of steps `step`, `step` + 1, ... below `until`."""
    numbers = itertools.count(int(step))
    if until is not None:
      numbers = range(int(step), int(until))
    return self._ahead(self._at, numbers)

  def skip(self, count: int) -> "TrainBatches":
    """Returns batches whose step k is this one's step k + `count`."""
    return dataclasses.replace(self, offset=self.offset + count)

  def _at(self, step: int, run: Map) -> Batch:
    number = step + self.offset
    if number < 0:
      raise UserError(
        f"step {step} with offset {self.offset} lies before the first batch."
      )
    indices = self.order.indices(number)
    epochs = self.order.epochs(number)
    return self._batch(indices, self.batch_size, run, epochs)


@dataclass(frozen=True, eq=False)
class EvalBatches(_Batches):
  """Every example once, in a fixed order; made by `eval_batches`."""

  def __len__(self) -> int:
    return -(-self.num_examples // self.batch_size)

  def __iter__(self) -> Iterator[Batch]:
    return self._ahead(self._at, range(len(self)))

  def batch_at(self, number: int) -> Batch:
    """Returns batch `number`; rows past the end have mask 0 and id -1."""
    return self._at(int(number), map)

  def _at(self, number: int, run: Map) -> Batch:
    if not 0 <= number < len(self):
      raise UserError(f"batch {number} is outside 0 to {len(self) - 1}.")
    first = number * self.batch_size
    # Rows past the end repeat the last example: real values upset no model.
    rows = np.arange(first, first + self.batch_size)
    indices = self.order[np.minimum(rows, self.num_examples - 1)]
    return self._batch(indices, self.num_examples - first, run)


def batches(
  source: Source,
  batch_size: int,
  encode: Encode | Tokenizer,
  *,
  seed: int,
  offset: int = 0,
  lengths: Sequence[int] | None = None,
  bucket_count: int = 4,
  window: int = 50,
  augment: Augment | None = None,
  sampling: str = "natural",
  **reading: Any,
) -> TrainBatches:
  """Makes shuffled training batches, a pure function of (seed, step).

  Args:
    source: of labelled examples, `batch_size` or more.
    batch_size: examples of a global batch.
    encode: example -> {name: array}, of one shape for all; or a `Tokenizer`,
      for examples with "text" (and "text_pair").
    seed: of the order.
    offset: batches to leave out at the start, such as those of a divergence.
    lengths: to which batches of tokens are padded, rising; quantiles of the
      examples' lengths if not given.
    bucket_count: how many quantiles.
    window: batches of tokens are formed by length within this many; 1 leaves
      them in shuffled order.
    augment: (8-bit image, randomness) -> 8-bit image, or (text, randomness) ->
      text, before `encode`; see `jft.augment`. It is a pure function of (seed,
      epoch, id). A text that outgrows its batch's length stays as it was.
    sampling: "natural" passes every example once an epoch; "balanced" and
      "sqrt" draw the classes equally often, or by the roots of their sizes,
      and pass once over a class before any of its examples comes again.
    **reading: fields of `Reading`.

  Raises:
    UserError: if the source is too small, has no labels, or the processes
      cannot share a batch equally.
  """
  random = {"augment": augment, "seed": seed}
  made = _made(
    source, batch_size, encode, lengths, bucket_count, reading, random
  )
  if len(source) < batch_size:
    raise UserError(
      f"batch_size={batch_size} is more than the {len(source)} examples of"
      f" {source.name}; lower it, or an example would fill a batch twice."
    )
  if not made["examples"].labelled:
    raise UserError(
      f'{source.name} has no "label"; training needs one in every example.'
    )
  run = None
  if sampling != "natural":
    run = ByClass.of(labels_of(source), sampling, seed)
  tokens = made["examples"].lengths
  order = _order(len(source), tokens, batch_size, seed, window, run)
  return TrainBatches(**made, order=order, offset=offset)


def _order(
  n: int,
  tokens: np.ndarray | None,
  batch_size: int,
  seed: int,
  window: int,
  run: ByClass | None,
) -> ShuffledOrder | BucketedOrder:
  """Returns the order of training's batches: by length, where there are
  lengths."""
  if tokens is None or window <= 1:
    return ShuffledOrder(n, batch_size, seed, run)
  return BucketedOrder(tokens, batch_size, seed, window, run)


def eval_batches(
  source: Source,
  batch_size: int,
  encode: Encode | Tokenizer,
  *,
  lengths: Sequence[int] | None = None,
  bucket_count: int = 4,
  **reading: Any,
) -> EvalBatches:
  """Makes batches that hold every example once, the last one padded.

  Images keep the source's order; texts are sorted by length. A source without
  labels gives batches without `label`.

  Args:
    source: of examples, with or without labels.
    batch_size: examples of a global batch, any number.
    encode: as for `batches`.
    lengths, bucket_count: as for `batches`.
    **reading: fields of `Reading`.

  Raises:
    UserError: if the processes cannot share a batch equally.
  """
  made = _made(source, batch_size, encode, lengths, bucket_count, reading)
  tokens = made["examples"].lengths
  order = np.arange(len(source))
  if tokens is not None:
    order = np.argsort(tokens, kind="stable")
  return EvalBatches(**made, order=order)


def _of_rows(source: Source) -> RowExamples:
  whole = origin(source, 0)[0]
  hidden = isinstance(whole, TokenRows) and whole.masking is not None
  return MaskedExamples(source) if hidden else RowExamples(source)


def _made(
  source: Source,
  batch_size: int,
  encode: Encode | Tokenizer,
  lengths: Sequence[int] | None,
  bucket_count: int,
  options: dict[str, Any],
  random: Mapping[str, Any] = types.MappingProxyType({}),
) -> dict[str, Any]:
  """Returns the fields that training and evaluation batches share."""
  reading = Reading(**options)
  if batch_size < 1 or batch_size % reading.process_count:
    raise UserError(
      f"batch_size={batch_size} must be a multiple of the"
      f" {reading.process_count} processes that share it."
    )
  if not len(source):
    raise UserError(f"{source.name} is empty.")
  chosen = None
  if isinstance(encode, Tokenizer):
    rows = isinstance(origin(source, 0)[0], TokenRows)
    if random.get("augment") and (rows or encode.reads == "words"):
      raise UserError(
        f"{source.name}: augment is of images, and of texts with one answer."
      )
    examples = (
      _of_rows(source) if rows else TokenExamples(source, encode, **random)
    )
    chosen = buckets(examples.lengths, encode.max_length, bucket_count)
    if lengths is not None:
      chosen = tuple(sorted(lengths))
      bucket_of(int(examples.lengths.max()), chosen)  # Fail now, not later.
  else:
    examples = FixedExamples(source, encode, reading.cache_mb, **random)
  return {
    "source": source,
    "batch_size": batch_size,
    "examples": examples,
    "buckets": chosen,
    "reading": reading,
  }
