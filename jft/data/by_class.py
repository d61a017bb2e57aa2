"""Classes drawn more evenly than they are, as a pure function of positions."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jft.data.order import index_at
from jft.data.source import rank_in_class
from jft.errors import UserError

SAMPLINGS = ("natural", "balanced", "sqrt")
_SLOTS = 100  # Slots of a round for each class, where classes differ in them.


@dataclasses.dataclass(frozen=True, eq=False)
class ByClass:
  """An endless run in which each class has its number of slots in a round.

  A round's slots are shuffled. Each slot of a class takes the next of the
  class's own shuffled run, so that all of its examples come once before any
  comes again. How many came before is known from the number of the round, so
  any position costs one round at most.

  Attributes:
    members: of each class, Int64["n"], its examples.
    slots: Int64["k"], of each class in a round, 1 or more.
    seed: of the run.
  """

  members: Sequence[np.ndarray]
  slots: np.ndarray
  seed: int

  @classmethod
  def of(cls, labels: np.ndarray, sampling: str, seed: int) -> "ByClass":
    """Returns the run of a way of sampling.

    Args:
      labels: Int["n"]; a class without examples is left out.
      sampling: "balanced", or "sqrt": by the roots of the classes' sizes.
      seed: of the run.

    Raises:
      UserError: if the labels are no classes, or for another sampling.
    """
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
      raise UserError(
        f"sampling={sampling!r} draws by class; these labels are no classes."
      )
    if sampling not in SAMPLINGS[1:]:
      raise UserError(
        f"sampling={sampling!r}: choose one of {', '.join(SAMPLINGS)}."
      )
    classes, counts = np.unique(labels, return_counts=True)
    slots = np.ones(len(classes), np.int64)
    if sampling == "sqrt":
      shares = np.sqrt(counts) / np.sqrt(counts).sum()
      slots = np.maximum(1, np.rint(shares * _SLOTS * len(classes)))
    members = [np.flatnonzero(labels == c) for c in classes]
    return cls(members, slots.astype(np.int64), seed)

  @property
  def size(self) -> int:
    """How many slots a round has."""
    return int(self.slots.sum())

  def __call__(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns Int64[b], the examples there, and Int64[b], which pass over its
    class each of them is of."""
    rounds, within = np.divmod(np.asarray(positions, np.int64), self.size)
    chosen, turn = np.empty_like(within), np.empty_like(within)
    for number in np.unique(rounds).tolist():
      at = rounds == number
      classes, rank = self._round(number)
      chosen[at], turn[at] = classes[within[at]], rank[within[at]]
    index, epochs = np.empty_like(within), np.empty_like(within)
    for number in np.unique(chosen).tolist():
      at, mine = chosen == number, self.members[number]
      name = f"class {number}"
      index[at] = mine[index_at(turn[at], len(mine), self.seed, name)]
      epochs[at] = turn[at] // len(mine)
    return index, epochs

  def _round(self, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the classes of a round, Int64["size"], and how many of the same
    came before each, in all rounds."""
    positions = np.arange(number * self.size, (number + 1) * self.size)
    slot = index_at(positions, self.size, self.seed, "sampling")
    classes = np.searchsorted(np.cumsum(self.slots), slot, side="right")
    return classes, number * self.slots[classes] + rank_in_class(classes)
