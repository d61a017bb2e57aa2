"""How a source stores an array, and the way there and back.

Everything here is NumPy and returns views where NumPy can.
"""

import dataclasses
import types
from typing import NamedTuple

import numpy as np

from jft.errors import UserError, did_you_mean
from jft.typing import Callable, Mapping


@dataclasses.dataclass(frozen=True)
class Entry:
  """Where a variable of jft is found in a source.

  Attributes:
    source: the tensor's name in the source, such as "conv1.weight".
    layout: a key of `LAYOUTS`.
  """

  source: str
  layout: str = "same"


class Layout(NamedTuple):
  """A pair of functions, each the other's inverse, and their rank."""

  to_jft: Callable[[np.ndarray], np.ndarray]
  to_source: Callable[[np.ndarray], np.ndarray]
  ndim: int | None = None


def _same(x: np.ndarray) -> np.ndarray:
  return x


LAYOUTS: Mapping[str, Layout] = types.MappingProxyType(
  {
    "same": Layout(_same, _same),
    # PyTorch's (out, in, h, w) <-> Flax's (h, w, in, out).
    "conv": Layout(
      lambda x: x.transpose(2, 3, 1, 0), lambda x: x.transpose(3, 2, 0, 1), 4
    ),
    # PyTorch's (out, in) <-> Flax's (in, out).
    "dense": Layout(lambda x: x.T, lambda x: x.T, 2),
  }
)


def to_jft(entry: Entry, array: np.ndarray) -> np.ndarray:
  """Returns a source's array as jft holds it.

  Args:
    entry: from a name table.
    array: the tensor called `entry.source`.

  Raises:
    UserError: for an unknown layout, or an array of another rank.

  >>> to_jft(Entry("fc.weight", "dense"), np.zeros((1000, 512))).shape
  (512, 1000)
  """
  return _layout(entry, array).to_jft(array)


def to_source(entry: Entry, array: np.ndarray) -> np.ndarray:
  """Returns jft's array as the source holds it; the inverse of `to_jft`.

  Raises:
    UserError: for an unknown layout, or an array of another rank.

  >>> to_source(Entry("conv1.weight", "conv"), np.zeros((7, 7, 3, 64))).shape
  (64, 3, 7, 7)
  """
  return _layout(entry, array).to_source(array)


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
