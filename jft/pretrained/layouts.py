"""How a source stores an array, and the way there and back.

Everything here is NumPy and returns views where NumPy can.
"""

import dataclasses
import types
from typing import NamedTuple

import numpy as np

from jft.errors import UserError, did_you_mean
from jft.typing import Callable, Mapping


class Part(NamedTuple):
  """One of `count` equal parts of a source's tensor, along an axis of it."""

  index: int
  count: int
  axis: int = 0


class View(NamedTuple):
  """The same values under another shape: the source's, and jft's."""

  source: tuple[int, ...]
  jft: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Entry:
  """Where a variable of jft is found in a source.

  Attributes:
    source: the tensor's name in the source, such as "conv1.weight".
    layout: a key of `LAYOUTS`.
    part: of a tensor that holds several variables, such as ViT's qkv.
    view: its values are reshaped, after the part is taken and before the
      layout applies.
    rotary: heads of a query or key whose rows the source has in another order
      for the rotary embedding: it turns rows 2i and 2i + 1 of a head together,
      jft rows i and i + half. 0 where both have the same order. Applied before
      the layout.
  """

  source: str
  layout: str = "same"
  part: Part | None = None
  view: View | None = None
  rotary: int = 0


class Layout(NamedTuple):
  """A pair of functions, each the other's inverse.

  Attributes:
    to_jft: from the source's array.
    to_source: from jft's.
    ndim: their rank, None if any will do.
    rows: which axis of jft's array the source's first one becomes.
  """

  to_jft: Callable[[np.ndarray], np.ndarray]
  to_source: Callable[[np.ndarray], np.ndarray]
  ndim: int | None = None
  rows: int = 0


def _same(x: np.ndarray) -> np.ndarray:
  return x


LAYOUTS: Mapping[str, Layout] = types.MappingProxyType(
  {
    "same": Layout(_same, _same),
    # PyTorch's (out, in, h, w) <-> Flax's (h, w, in, out).
    "conv": Layout(
      lambda x: x.transpose(2, 3, 1, 0), lambda x: x.transpose(3, 2, 0, 1), 4, 3
    ),
    # Keras' depthwise (h, w, c, 1) <-> Flax's (h, w, 1, c).
    "depthwise": Layout(
      lambda x: x.transpose(0, 1, 3, 2), lambda x: x.transpose(0, 1, 3, 2), 4
    ),
    # A stem of Keras that reads BGR, (h, w, c, out), <-> one that reads RGB.
    "bgr": Layout(lambda x: x[:, :, ::-1], lambda x: x[:, :, ::-1], 4),
    # PyTorch's (out, in) <-> Flax's (in, out).
    "dense": Layout(lambda x: x.T, lambda x: x.T, 2, 1),
    # A scale that the source keeps whole, and jft as what is added to 1.
    "one_more": Layout(lambda x: x - 1, lambda x: x + 1),
  }
)


def to_jft(entry: Entry, array: np.ndarray) -> np.ndarray:
  """Returns a source's array as jft holds it.

  Args:
    entry: from a name table.
    array: the tensor called `entry.source`.

  Raises:
    UserError: for an unknown layout, or an array of another shape than it or
      the entry's part and view allow.

  >>> to_jft(Entry("fc.weight", "dense"), np.zeros((1000, 512))).shape
  (512, 1000)
  >>> qkv = np.zeros((3 * 64, 64))
  >>> to_jft(Entry("qkv.weight", "dense", Part(1, 3)), qkv).shape
  (64, 64)
  """
  if entry.part is not None:
    array = _taken(entry, entry.part, array)
  if entry.view is not None:
    array = _viewed(entry, array, entry.view.source, entry.view.jft)
  if entry.rotary:
    array = _swapped(entry, array, (-1, 2))
  return _layout(entry, array).to_jft(array)


def to_source(entry: Entry, array: np.ndarray) -> np.ndarray:
  """Returns jft's array as the source holds it; the inverse of `to_jft`.

  Of an entry with a part it is that part alone; `export` joins them.

  Raises:
    UserError: for an unknown layout, or an array of another shape.

  >>> to_source(Entry("conv1.weight", "conv"), np.zeros((7, 7, 3, 64))).shape
  (64, 3, 7, 7)
  """
  array = _layout(entry, array).to_source(array)
  if entry.rotary:
    array = _swapped(entry, array, (2, -1))
  if entry.view is not None:
    array = _viewed(entry, array, entry.view.jft, entry.view.source)
  return array


def rows(entry: Entry) -> int:
  """Returns which axis of jft's array the source's first one becomes.

  Args:
    entry: without part and rotary, of a view that keeps the first axis.

  >>> rows(Entry("conv1.weight", "conv"))
  3
  """
  return LAYOUTS[entry.layout].rows


def _taken(entry: Entry, part: Part, array: np.ndarray) -> np.ndarray:
  size = array.shape[part.axis] if part.axis < array.ndim else 0
  if size == 0 or size % part.count:
    raise UserError(
      f"{entry.source}: shape {array.shape} cannot be cut into {part.count}"
      f" equal parts along axis {part.axis}."
    )
  step = size // part.count
  span = slice(part.index * step, (part.index + 1) * step)
  return array[(slice(None),) * part.axis + (span,)]


def _viewed(
  entry: Entry,
  array: np.ndarray,
  before: tuple[int, ...],
  after: tuple[int, ...],
) -> np.ndarray:
  if array.shape != before:
    raise UserError(
      f"{entry.source}: expected shape {before}, got {array.shape}."
    )
  return array.reshape(after)


def _swapped(
  entry: Entry, array: np.ndarray, pairs: tuple[int, int]
) -> np.ndarray:
  """Exchanges the two axes that the rows of every head are seen under."""
  rows = array.shape[0] if array.ndim else 0
  if rows == 0 or rows % (2 * entry.rotary):
    raise UserError(
      f"{entry.source}: the rows of shape {array.shape} cannot be cut into"
      f" {entry.rotary} heads of pairs."
    )
  seen = array.reshape(entry.rotary, *pairs, *array.shape[1:])
  return seen.swapaxes(1, 2).reshape(array.shape)


def _layout(entry: Entry, array: np.ndarray) -> Layout:
  layout = LAYOUTS.get(entry.layout)
  if layout is None:
    raise UserError(
      f"{entry.source}: unknown layout {entry.layout!r}."
      f"{did_you_mean(entry.layout, LAYOUTS)}"
    )
  if layout.ndim not in (None, array.ndim):
    raise UserError(
      f"{entry.source}: layout {entry.layout!r} needs {layout.ndim} axes, got"
      f" shape {array.shape}; the file holds another kind of layer there."
    )
  return layout
