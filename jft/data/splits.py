"""Train, validation and test by what an example holds, not where it stands."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jft.data.hashing import digest, input_digests
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
  everything = np.arange(len(source))
  if key is None:
    rows = input_digests(source, everything)
    hashed = [row.tobytes() for row in rows]
  else:
    rows = None
    hashed = [digest({"key": key(source[i])}) for i in everything.tolist()]
  points = np.array([_point(content, seed) for content in hashed])
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
    part = subset(source, indices, f"{source.name}/{name}")
    known = None if rows is None else rows[indices]
    parts[name] = dataclasses.replace(part, digests=known)
  return parts


def _point(content: bytes, seed: int) -> float:
  """Returns a hash's place in [0, 1)."""
  hashed = hashlib.sha256(f"{seed}|".encode() + content).digest()
  # 53 bits are what a float holds exactly.
  return (int.from_bytes(hashed[:8], "big") >> 11) / 2**53
