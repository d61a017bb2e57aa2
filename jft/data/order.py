"""The order of examples: a pure function of the seed and the position.

Position p of a run is example `index_at(p)`. There is no list of shuffled
indices and no iterator state: an epoch's permutation is a small block cipher
(a Feistel network) whose key is (seed, epoch), so any position is O(1).
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np

from jft.rng import generator

_ROUNDS = 8


def index_at(
  positions: np.ndarray, n: int, seed: int, name: str = "order"
) -> np.ndarray:
  """Returns the example at each position of an endless shuffled run.

  Positions e*n to (e+1)*n - 1 are epoch e: a permutation of range(n) of its
  own.

  Args:
    positions: Int[b], not negative.
    n: the number of examples.
    seed: of the run.
    name: of the stream, so that two uses of one seed differ.

  Returns:
    Int64[b], each from 0 to n - 1.

  Source: Black and Rogaway, "Ciphers with Arbitrary Finite Domains" (2002):
    the generalized Feistel cipher. `grain.experimental.index_shuffle` has the
    same use; its blocks of 2**16 or more make it slow on a small data set.

  >>> [int(i) for i in sorted(index_at(np.arange(5, 10), 5, seed=0))]
  [0, 1, 2, 3, 4]
  """
  epochs, within = np.divmod(np.asarray(positions, np.int64), n)
  index = np.empty_like(within)
  for epoch in sorted(set(epochs.tolist())):
    at = epochs == epoch
    keys = generator(seed, name, epoch).integers(
      2**63, size=_ROUNDS, dtype=np.uint64
    )
    index[at] = _permute(within[at], n, keys)
  return index


def _permute(index: np.ndarray, n: int, keys: np.ndarray) -> np.ndarray:
  """Encrypts each index within range(n); the key names the permutation."""
  rows = math.isqrt(n - 1) + 1
  columns = -(-n // rows)
  out = index.astype(np.uint64)
  outside = np.arange(len(out))
  while len(outside):  # The few that leave range(n) are encrypted on.
    out[outside] = _encrypt(out[outside], rows, columns, keys)
    outside = outside[out[outside] >= n]
  return out.astype(np.int64)


def _encrypt(
  block: np.ndarray, rows: int, columns: int, keys: np.ndarray
) -> np.ndarray:
  """Adds to one coordinate a hash of the other, by turns: always a bijection
  of range(rows * columns)."""
  size = np.uint64(rows), np.uint64(columns)
  at = list(np.divmod(block, size[1]))
  for turn, key in enumerate(keys):
    here, there = turn % 2, 1 - turn % 2
    at[here] = (at[here] + _mix(at[there] ^ key)) % size[here]
  return at[0] * size[1] + at[1]


def _mix(x: np.ndarray) -> np.ndarray:
  """Hashes to 32 bits, each of which depends on every bit of x."""
  x = x * np.uint64(0xBF58476D1CE4E5B9)
  x = (x ^ (x >> np.uint64(32))) * np.uint64(0x94D049BB133111EB)
  return x >> np.uint64(32)


@dataclasses.dataclass(frozen=True)
class Natural:
  """An endless run over n examples: every epoch is a permutation of them."""

  n: int
  seed: int

  def __call__(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns Int64[b], the examples there, and Int64[b], of which epoch."""
    return index_at(positions, self.n, self.seed), positions // self.n


Run = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""positions -> (examples, passes), a pure function; see `Natural`."""


class ShuffledOrder:
  """Batches of a run in shuffled order; every epoch is a permutation.

  Unless it is another run: (positions) -> (examples, their passes).
  """

  def __init__(
    self, n: int, batch_size: int, seed: int, run: Run | None = None
  ):
    self.batch_size, self.run = batch_size, run or Natural(n, seed)

  def indices(self, step: int) -> np.ndarray:
    """Returns Int64[b], the examples of the batch at `step`."""
    return self.run(self._positions(step))[0]

  def epochs(self, step: int) -> np.ndarray:
    """Returns Int64[b], the pass over the data that each of them is of."""
    return self.run(self._positions(step))[1]

  def _positions(self, step: int) -> np.ndarray:
    first = step * self.batch_size
    return np.arange(first, first + self.batch_size)


class BucketedOrder:
  """Shuffled batches whose examples are of about one length.

  Each window of `window` batches of the shuffled order is sorted by length
  (equal lengths stay shuffled), cut into batches, and these are shuffled. So
  padding is small while the examples still pass once an epoch.
  """

  def __init__(
    self,
    lengths: np.ndarray,
    batch_size: int,
    seed: int,
    window: int = 50,
    run: Run | None = None,
  ):
    self.lengths, self.batch_size, self.seed = lengths, batch_size, seed
    self.run = run or Natural(len(lengths), seed)
    # A window longer than an epoch would only mix epochs.
    self.window = max(1, min(window, len(lengths) // batch_size))
    # Two windows, since prefetching and a look back may sit on either side.
    self._cached = functools.lru_cache(maxsize=2)(self._window_batches)

  def indices(self, step: int) -> np.ndarray:
    """Returns Int64[b], the examples of the batch at `step`."""
    return self._at(step)[0]

  def epochs(self, step: int) -> np.ndarray:
    """Returns Int64[b], the pass over the data that each of them is of."""
    return self._at(step)[1]

  def _at(self, step: int) -> np.ndarray:
    number, row = divmod(step, self.window)
    return self._cached(number)[:, row]

  def _window_batches(self, number: int) -> np.ndarray:
    """Returns Int64[2 window b]: the examples, and their passes."""
    size = self.window * self.batch_size
    positions = np.arange(number * size, (number + 1) * size)
    index, epochs = self.run(positions)
    sorted_ = np.argsort(self.lengths[index], kind="stable")
    both = np.stack([index, epochs])[:, sorted_]
    rows = np.arange(number * self.window, (number + 1) * self.window)
    shuffled = index_at(rows, self.window, self.seed, "window")
    return both.reshape(2, self.window, self.batch_size)[:, shuffled]
