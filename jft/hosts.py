"""Several processes doing one thing: who writes, and what all agree on."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jft.errors import UserError


def is_primary() -> bool:
  """Returns whether this process is the one that writes shared files."""
  return jax.process_index() == 0


def agreed(value: bool) -> bool:
  """Returns the primary process's `value` on every process.

  A look at a shared file system may differ between processes for a moment;
  where they would take different branches they must ask one of them.
  """
  if jax.process_count() == 1:
    return value
  return bool(multihost_utils.broadcast_one_to_all(np.asarray(value)))


def barrier(name: str) -> None:
  """Waits until every process has come here."""
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)


def whole(array: Any) -> np.ndarray:
  """Returns a whole array on the host, wherever its parts are."""
  if array.is_fully_addressable or array.is_fully_replicated:
    return np.ascontiguousarray(array)
  return np.ascontiguousarray(
    multihost_utils.process_allgather(array, tiled=True)
  )


def require_shared(arrays: Mapping[str, Any]) -> None:
  """Checks that named arrays belong to all processes together.

  Orbax writes an array of one process without a word: one process's copy.

  Raises:
    UserError: naming the first that does not.
  """
  if jax.process_count() == 1:
    return
  for name, array in arrays.items():
    if array.is_fully_addressable:
      raise UserError(
        f"{name} is an array of one process among {jax.process_count()}; save"
        " the state that replicate(state) or a step returned."
      )
