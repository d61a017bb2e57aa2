"""A foreign array's values as a model's leaf: cast, finite, in C order.

All of it works on a piece at a time, so that nothing of the array's own size
is made but the result.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from jft.errors import UserError
from jft.pretrained.formats.lazy import aligned

PIECE = 2**16  # values; what is made of them stays in the processor's cache
# Sides, in values, of the tile of a transposed array that is copied at a time.
# NumPy alone goes row by row, each value from another cache line, and is five
# times slower. Without a gap, rows that lie a power of two apart share the few
# places that a cache has for them: half of the speed, with new memory a tile.
TILE = 256
GAP = 16  # values


def cast(name: str, array: np.ndarray, dtype: Any) -> np.ndarray:
  """Returns the array in the target's dtype, finite and in C order.

  Args:
    name: of the leaf, for messages.
    array: of any shape and order; returned itself if nothing is to be done.
    dtype: of the leaf, of the same kind (float, integer, bool).

  Raises:
    UserError: if the kinds differ, or a value is NaN or infinite before or
      after the cast.
  """
  _check_kind(name, array.dtype, dtype)
  check_finite(name, array, "in the source")
  with np.errstate(over="ignore"):  # reported below, with the name
    made = _in_order(array, np.dtype(dtype))
  if made.dtype != array.dtype:
    check_finite(name, made, _after(array.dtype, dtype))
  return made


def cast_blocks(
  name: str,
  blocks: Iterable[np.ndarray],
  shape: tuple[int, ...],
  dtype: Any,
  axis: int,
) -> np.ndarray:
  """Returns what `cast` would of all blocks joined, without joining them first.

  Args:
    name: of the leaf, for messages.
    blocks: one after another along `axis`; each is let go before the next.
    shape: of all of them together.
    dtype: of the leaf.
    axis: along which they follow.

  Raises:
    UserError: as `cast`.
  """
  made, at, bad, dtype = aligned(shape, dtype), 0, 0, np.dtype(dtype)
  stored = dtype
  for block in blocks:
    stored = block.dtype
    _check_kind(name, stored, dtype)
    bad += _count_bad(block)
    span = slice(at, at + block.shape[axis])
    with np.errstate(over="ignore"):
      _copy(block, made[(slice(None),) * axis + (span,)])
    at = span.stop
  if at != shape[axis]:
    raise UserError(f"{name}: {at} rows were read, expected {shape[axis]}.")
  _refuse(name, bad, made.size, "in the source")
  if stored != dtype:
    check_finite(name, made, _after(stored, dtype))
  return made


def _check_kind(name: str, got: Any, dtype: Any) -> None:
  for kind in (jnp.floating, jnp.integer, jnp.bool_):
    if jnp.issubdtype(dtype, kind) != jnp.issubdtype(got, kind):
      raise UserError(
        f"{name}: the source holds {got}, the model {dtype}; convert the file."
      )


def _after(got: Any, dtype: Any) -> str:
  return f"after the cast from {got} to {dtype}"


def check_finite(name: str, array: np.ndarray, where: str) -> None:
  """Raises if a value is NaN or infinite.

  Args:
    name: of the leaf.
    array: of any dtype; what cannot be infinite is not looked at.
    where: for the message.

  Raises:
    UserError: with how many there are.
  """
  _refuse(name, _count_bad(array), array.size, where)


def _count_bad(array: np.ndarray) -> int:
  if not jnp.issubdtype(array.dtype, jnp.inexact):
    return 0
  return sum(_bad_in(piece) for piece in _pieces(array))


def _bad_in(piece: np.ndarray) -> int:
  if piece.itemsize != 2:
    return piece.size - int(np.count_nonzero(np.isfinite(piece)))
  # NumPy widens each value of 16 bits first: six times slower than a look at
  # the exponent, which is all ones in what is not finite.
  info = jnp.finfo(piece.dtype)
  ones = np.uint16(((1 << info.nexp) - 1) << info.nmant)
  return int(np.count_nonzero((piece.view(np.uint16) & ones) == ones))


def _refuse(name: str, bad: int, size: int, where: str) -> None:
  if bad:
    raise UserError(
      f"{name}: {bad} of {size} values are NaN or infinite {where}; the file is"
      " damaged or of a diverged run."
    )


def _pieces(array: np.ndarray) -> Iterator[np.ndarray]:
  # "K" is the order in memory: no copy of an array that is but transposed.
  flat = array.ravel("K")
  for start in range(0, flat.size, PIECE):
    yield flat[start : start + PIECE]


def _in_order(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
  small = array.size <= PIECE
  if small or not _across(array) or array.flags.c_contiguous:
    return array.astype(dtype, order="C", copy=False)
  made = aligned(array.shape, dtype)
  _copy(array, made)
  return made


def _across(array: np.ndarray) -> bool:
  """Whether the values of a row lie apart from one another."""
  return array.ndim > 1 and array.strides[-1] != array.itemsize


def _copy(array: np.ndarray, made: np.ndarray) -> None:
  """Copies in tiles, each brought into the cache as it lies in memory."""
  if not _across(array):
    made[...] = array
    return
  strides = [abs(n) for n in array.strides[:-1]]
  axis = strides.index(max(strides))
  width = max(TILE * array.itemsize // max(strides[axis], 1), 1)
  room = None
  for start in range(0, array.shape[-1], TILE):
    columns = (Ellipsis, slice(start, start + TILE))
    source, out = array[columns], made[columns]
    for row in range(0, array.shape[axis], width):
      tile = (slice(None),) * axis + (slice(row, row + width),)
      if room is None or room.shape != source[tile].shape:
        room = _spaced(source[tile])
      room[...] = source[tile]
      out[tile] = room


def _spaced(tile: np.ndarray) -> np.ndarray:
  """Returns an empty array that lies in memory like this, but for gaps."""
  order = np.argsort([-abs(n) for n in tile.strides], kind="stable")
  shape = [tile.shape[axis] for axis in order]
  inner = math.prod(shape[1:])
  rows = np.empty((shape[0], inner + GAP), tile.dtype)[:, :inner]
  return rows.reshape(shape).transpose(np.argsort(order))
