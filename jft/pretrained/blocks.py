"""A large tensor that has to be turned around or cast, a block at a time.

Read whole, it would lie in memory twice until the copy is made: most of VGG-16
is one matrix.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping

import jax
import numpy as np

from jft.pretrained import layouts, values
from jft.pretrained.formats.lazy import Tensors
from jft.pretrained.layouts import Entry, View

LARGE = 2**20  # bytes; a smaller tensor is read whole
ROWS = values.TILE  # of a block, or a multiple if they are short
BLOCK = 4 * 2**20  # bytes


def reader(
  source: Mapping[str, np.ndarray], entry: Entry, spec: jax.ShapeDtypeStruct
) -> Iterator[np.ndarray] | None:
  """Returns a tensor's blocks as jft lays them out, None if it is to be whole.

  Args:
    source: {foreign name: array}.
    entry: where the variable is in it.
    spec: the variable's dtype, and the shape the tensor has once laid out.

  Returns:
    Arrays that follow one another along axis `layouts.rows(entry)`.
  """
  if not isinstance(source, Tensors) or source.blocks is None:
    return None
  stored = source.specs[entry.source]
  nbytes = math.prod(stored.shape) * stored.dtype.itemsize
  as_it_is = layouts.rows(entry) == 0 and stored.dtype == spec.dtype
  if as_it_is or nbytes <= LARGE or not _has_rows(entry):
    return None
  block = ROWS * max(BLOCK * stored.shape[0] // (nbytes * ROWS), 1)
  read = source.blocks(entry.source, block)
  return (layouts.to_jft(_of(entry, len(block)), block) for block in read)


def _has_rows(entry: Entry) -> bool:
  """Whether a block of the tensor's rows is laid out like all of them."""
  view = entry.view
  keeps_rows = view is None or view.source[:1] == view.jft[:1]
  return keeps_rows and entry.part is None and not entry.rotary


def _of(entry: Entry, count: int) -> Entry:
  """Returns the entry of so many rows alone."""
  if entry.view is None:
    return entry
  view = View((count, *entry.view.source[1:]), (count, *entry.view.jft[1:]))
  return dataclasses.replace(entry, view=view)
