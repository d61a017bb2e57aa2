"""A foreign array's values as a model's leaf: cast, finite, in C order.

All of it works on a piece at a time, so that nothing of the array's own size
is made but the result.
"""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from jft.errors import UserError
from jft.pretrained.formats.lazy import aligned

PIECE = 2**16  # values; what is made of them stays in the processor's cache
# Columns of a transposed array copied at a time. NumPy alone goes row by row,
# each value from another cache line: 0.5 to 1 GB/s, against 3 to 5.
COLUMNS = 64


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
  for kind in (jnp.floating, jnp.integer, jnp.bool_):
    if jnp.issubdtype(dtype, kind) != jnp.issubdtype(array.dtype, kind):
      raise UserError(
        f"{name}: the source holds {array.dtype}, the model {dtype}; convert"
        " the file."
      )
  check_finite(name, array, "in the source")
  with np.errstate(over="ignore"):  # reported below, with the name
    made = _in_order(array, np.dtype(dtype))
  if made.dtype != array.dtype:
    check_finite(name, made, f"after the cast from {array.dtype} to {dtype}")
  return made


def check_finite(name: str, array: np.ndarray, where: str) -> None:
  """Raises if a value is NaN or infinite.

  Args:
    name: of the leaf.
    array: of any dtype; what cannot be infinite is not looked at.
    where: for the message.

  Raises:
    UserError: with how many there are.
  """
  if not jnp.issubdtype(array.dtype, jnp.inexact):
    return
  bad = sum(
    piece.size - int(np.count_nonzero(np.isfinite(piece)))
    for piece in _pieces(array)
  )
  if bad:
    raise UserError(
      f"{name}: {bad} of {array.size} values are NaN or infinite {where}; the"
      " file is damaged or of a diverged run."
    )


def _pieces(array: np.ndarray) -> Iterator[np.ndarray]:
  # "K" is the order in memory: no copy of an array that is but transposed.
  flat = array.ravel("K")
  for start in range(0, flat.size, PIECE):
    yield flat[start : start + PIECE]


def _in_order(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
  across = array.ndim > 1 and array.strides[-1] != array.itemsize
  if not across or array.size <= PIECE or array.flags.c_contiguous:
    return array.astype(dtype, order="C", copy=False)
  made = aligned(array.shape, dtype)
  for start in range(0, array.shape[-1], COLUMNS):
    columns = slice(start, start + COLUMNS)
    made[..., columns] = array[..., columns]
  return made
