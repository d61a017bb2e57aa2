"""Several processes doing one thing: who writes, and what all agree on."""

import jax
import numpy as np
from jax.experimental import multihost_utils


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
