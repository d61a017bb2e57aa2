"""Randomness by name: a key or a seed is a function of what it is used for.

Nothing is drawn from a running stream, so a resumed run needs no generator
state: the key of (seed, "dropout", step 17, attempt 0) is always the same.
"""

import zlib

import jax
import jax.numpy as jnp
import numpy as np

from jft.typing import Array, Key


def key(seed: int, name: str = "") -> Key:
  """Returns the base key of a named stream.

  Args:
    seed: the run's seed.
    name: what the stream is for, such as "dropout" or "init".
  """
  return jax.random.fold_in(jax.random.key(seed), _hash(name))


def substream(base: Key, name: str) -> Key:
  """Returns the base key of another named stream; traceable.

  Args:
    base: what `key` returned.
    name: what the stream is for, such as "augment".
  """
  return jax.random.fold_in(base, _hash(name))


def at(base: Key, step: int | Array, attempt: int | Array = 0) -> Key:
  """Returns the key of one step and one attempt; traceable."""
  return jax.random.fold_in(
    jax.random.fold_in(base, jnp.asarray(attempt, jnp.uint32)),
    jnp.asarray(step, jnp.uint32),
  )


def generator(seed: int, name: str, *index: int) -> np.random.Generator:
  """Returns NumPy's generator for host work, named in the same way.

  >>> a, b = (generator(0, "order", 3).integers(1000) for _ in range(2))
  >>> bool(a == b)
  True
  """
  return np.random.default_rng([seed, _hash(name), *index])


def _hash(name: str) -> int:
  # Python's hash() differs from process to process; crc32 never does.
  return zlib.crc32(name.encode())
