"""jft's variables back under the names and in the layout of a source."""

import numpy as np

from jft.errors import UserError
from jft.pretrained import layouts
from jft.pretrained.layouts import Entry
from jft.typing import ArrayLike, Mapping


def to_source(
  variables: Mapping[str, ArrayLike], table: Mapping[str, Entry]
) -> dict[str, np.ndarray]:
  """Returns {source name: array}, the inverse of what a load did.

  Args:
    variables: {jft name: array}, as `tree.flatten(net.variables)`.
    table: the family's name table.

  Raises:
    UserError: for a variable that the layout has no name for.

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
  return {
    table[name].source: np.ascontiguousarray(
      layouts.to_source(table[name], np.asarray(value))
    )
    for name, value in variables.items()
  }
