"""jft's variables back under the names and in the layout of a source."""

import numpy as np

from jft.errors import UserError
from jft.pretrained import layouts
from jft.pretrained.layouts import Entry, Part
from jft.typing import ArrayLike, Mapping


def to_source(
  variables: Mapping[str, ArrayLike], table: Mapping[str, Entry]
) -> dict[str, np.ndarray]:
  """Returns {source name: array}, the inverse of what a load did.

  A tensor that holds several variables is joined from its parts.

  Args:
    variables: {jft name: array}, as `tree.flatten(net.variables)`.
    table: the family's name table.

  Raises:
    UserError: for a variable that the layout has no name for, or a tensor
      some of whose parts are missing.

  >>> table = {"params/head/kernel": Entry("fc.weight", "dense")}
  >>> to_source({"params/head/kernel": np.zeros((2, 3))}, table)[
  ...   "fc.weight"].shape
  (3, 2)
  """
  if unknown := [name for name in variables if name not in table]:
    raise UserError(
      f"the layout has no name for {unknown[0]!r} ({len(unknown)} such"
      " variables)."
    )
  pieces: dict[str, dict[int, np.ndarray]] = {}
  for name, value in variables.items():
    entry = table[name]
    index = entry.part.index if entry.part else 0
    piece = layouts.to_source(entry, np.asarray(value))
    pieces.setdefault(entry.source, {})[index] = piece
  parts = {entry.source: entry.part for entry in table.values()}
  return {
    source: np.ascontiguousarray(_joined(source, found, parts[source]))
    for source, found in pieces.items()
  }


def _joined(
  source: str, found: Mapping[int, np.ndarray], part: Part | None
) -> np.ndarray:
  if part is None:
    return found[0]
  if len(found) != part.count:
    raise UserError(
      f"{source!r} is joined from {part.count} variables, got {len(found)}."
    )
  arrays = [found[i] for i in range(part.count)]
  return np.concatenate(arrays, part.axis)
