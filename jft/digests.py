"""Digests of trees: 64 bits a leaf, computed where the leaf is; of files.

Every 32-bit word is mixed with its place and the results are added up, which
gives the same number in any order of addition, on any device and sharding. One
changed word always changes the digest; other changes escape it with a chance of
2^-64. It proves that two runs agree, not that nobody forged one.
"""

import dataclasses
import hashlib
import os

import jax
import jax.numpy as jnp
import numpy as np

from jft import hosts, leaves
from jft.typing import Any, Array, Mapping

_LANES = (0x9E3779B9, 0x85EBCA77)


@dataclasses.dataclass(frozen=True)
class Seen:
  """What one look at a tree found.

  Attributes:
    digests: {leaf: 16 hex digits}, over bytes, type and shape.
    not_finite: the leaves that hold a NaN or an infinity.
  """

  digests: dict[str, str]
  not_finite: tuple[str, ...]


def look(tree: Any) -> Seen:
  """Returns the digests of a tree's leaves, and which are not finite.

  Waits for the device. Typed keys count by their data.

  >>> look({"a": jnp.zeros(3)}).digests
  {'a': 'fa94a82e6f6d526d'}
  """
  arrays = leaves.plain(tree)
  described = leaves.describe(tree)
  found = jax.device_get([_look(leaf) for leaf in arrays.values()])
  return Seen(
    {
      name: _hex(described[name], row)
      for name, row in zip(arrays, found, strict=True)
    },
    tuple(name for name, row in zip(arrays, found, strict=True) if row[2]),
  )


def combine(digests: Mapping[str, str]) -> str:
  """Returns one digest for {name: digest}, in whatever order: 16 hex digits."""
  rows = "".join(f"{name}={digests[name]}\n" for name in sorted(digests))
  return hashlib.sha256(rows.encode()).hexdigest()[:16]


def file_sha256(path: str | os.PathLike[str]) -> str:
  """Returns the SHA-256 of a file's content: 64 hex digits."""
  with open(path, "rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def sha256(tree: Any) -> str:
  """Returns one hash over all names, types, shapes and bytes: 64 hex digits.

  Slower than `look`, and nobody can find another tree with the same one.
  """
  digest = hashlib.sha256()
  described = leaves.describe(tree)
  for name, leaf in sorted(leaves.plain(tree).items()):
    digest.update(f"{name}:{described[name]}\n".encode())
    digest.update(hosts.whole(leaf).reshape(-1).view(np.uint8).data)
  return digest.hexdigest()


def _hex(described: str, row: np.ndarray) -> str:
  # Type and shape too: a float32 zero and an int32 zero are the same bytes.
  salt = hashlib.sha256(described.encode()).digest()[:8]
  value = (int(row[0]) << 32 | int(row[1])) ^ int.from_bytes(salt, "big")
  return f"{value:016x}"


@jax.jit
def _look(leaf: Array) -> Array:
  """Returns uint32[3]: two sums of mixed words, and is any not finite?"""
  words = _words(leaf).reshape(-1)
  place = jax.lax.iota(jnp.uint32, words.size)
  sums = [
    jnp.sum(_mix(words ^ _mix(place + jnp.uint32(lane))), dtype=jnp.uint32)
    for lane in _LANES
  ]
  bad = jnp.uint32(0)
  if jnp.issubdtype(leaf.dtype, jnp.inexact):
    bad = (~jnp.isfinite(leaf).all()).astype(jnp.uint32)
  return jnp.stack([*sums, bad])


def _words(leaf: Array) -> Array:
  """The bits of every element as one or two uint32."""
  if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
    return jnp.stack([_words(leaf.real), _words(leaf.imag)], -1)
  if jnp.issubdtype(leaf.dtype, jnp.floating):
    bits = jnp.dtype(f"uint{jnp.finfo(leaf.dtype).bits}")
    leaf = jax.lax.bitcast_convert_type(leaf, bits)
  if leaf.dtype.itemsize == 8:
    return jax.lax.bitcast_convert_type(leaf, jnp.uint32)
  return leaf.astype(jnp.uint32)


def _mix(x: Array) -> Array:
  """A bijection of 32 bits: the finalizer of MurmurHash3 (Appleby, 2008)."""
  x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
  x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
  return x ^ (x >> 16)
