"""Train, validation and test by what an example holds, not where it stands."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jft.data.hashing import digest, input_digest
from jft.data.source import Source, Subset, subset
from jft.errors import UserError


def split(
  source: Source,
  shares: Mapping[str, float],
  *,
  seed: int = 0,
  key: Callable[[dict[str, Any]], Any] | None = None,
) -> dict[str, Subset]:
  """Splits a source by a hash of each example's inputs.

  An example stays in its split when the source is reordered or grows, and
  equal examples (with equal or different labels) share a split, so that
  none leaks from training into a test.

  Args:
    source: any source.
    shares: {name: share}, which sum to 1; sizes follow them only roughly.
    seed: for another split of the same examples.
    key: example -> what to hash in place of the inputs, such as a patient's
      number, to keep a group together.

  Returns:
    {name: source}, in the order of `shares`.

  Raises:
    UserError: if the shares do not sum to 1 or a split gets no example.
  """
  total = sum(shares.values())
  if abs(total - 1) > 1e-6 or any(share <= 0 for share in shares.values()):
    raise UserError(
      f"split: shares must be positive and sum to 1, got {dict(shares)}, whose"
      f" sum is {total:g}."
    )
  points = np.array([_point(source, i, seed, key) for i in range(len(source))])
  # The last split takes the rest, whatever the sum's rounding.
  ends = np.cumsum(list(shares.values()))[:-1]
  chosen = np.searchsorted(ends, points, side="right")
  parts = {}
  for number, name in enumerate(shares):
    indices = np.flatnonzero(chosen == number)
    if not len(indices):
      raise UserError(
        f"split {name!r} got none of the {len(source)} examples of"
        f" {source.name}; raise its share of {shares[name]:g} or change seed."
      )
    parts[name] = subset(source, indices, f"{source.name}/{name}")
  return parts


def _point(source: Source, i: int, seed: int, key: Any) -> float:
  """Returns an example's place in [0, 1)."""
  content = (
    input_digest(source, i) if key is None else digest({"key": key(source[i])})
  )
  hashed = hashlib.sha256(f"{seed}|".encode() + content).digest()
  # 53 bits are what a float holds exactly.
  return (int.from_bytes(hashed[:8], "big") >> 11) / 2**53
