"""Digests against NumPy's arithmetic on the bytes, and what they must tell."""

import hashlib

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jft import digests, parallel


def reference(array):
  """The digest's definition once more, in NumPy and 64-bit integers."""
  array = np.asarray(array)
  size = array.dtype.itemsize
  if array.dtype == bool or np.issubdtype(array.dtype, np.integer):
    words = array.astype(np.int64) & 0xFFFFFFFF
  else:
    words = array.view(f"u{size}").astype(np.int64)

  def mix(x):
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return x ^ (x >> 16)

  place = np.arange(words.size, dtype=np.int64)
  sums = [
    int(mix(words.ravel() ^ mix((place + lane) & 0xFFFFFFFF)).sum()) % 2**32
    for lane in (0x9E3779B9, 0x85EBCA77)
  ]
  shape = ",".join(map(str, array.shape))
  salt = hashlib.sha256(f"{array.dtype}[{shape}]".encode()).digest()[:8]
  value = (sums[0] << 32 | sums[1]) ^ int.from_bytes(salt, "big")
  return f"{value:016x}"


@pytest.mark.parametrize(
  "array",
  [
    np.float32([0.0, -0.0, np.nan, np.inf, 1e-45]),
    np.arange(24, dtype=np.int32).reshape(2, 3, 4) - 12,
    np.array([True, False, True]),
    np.float16([[1.5], [-2]]),
    np.array([1.5, -2.0], ml_dtypes.bfloat16),
    np.array([1.5, -2.0], ml_dtypes.float8_e4m3fn),
    np.uint8([1, 2, 255]),
    np.int8([-1, 5]),
    np.float32(3.0),
  ],
  ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_equal_to_the_definition(array):
  assert digests.look({"x": array}).digests == {"x": reference(array)}


def test_every_flipped_bit_changes_it():
  array = np.random.default_rng(0).normal(size=6).astype(np.float32)
  found = {digests.look([jnp.asarray(array)]).digests["0"]}
  for bit in range(array.nbytes * 8):
    flipped = bytearray(array.tobytes())
    flipped[bit // 8] ^= 1 << bit % 8
    changed = np.frombuffer(bytes(flipped), np.float32)
    found.add(digests.look([jnp.asarray(changed)]).digests["0"])
  assert len(found) == 1 + array.nbytes * 8


def test_place_type_and_shape_count():
  arrays = [
    np.float32([1, 2]),
    np.float32([2, 1]),
    np.float32([[1, 2]]),
    np.float32([1, 2]).view(np.int32),
    np.zeros(3, np.float32),
    np.zeros(4, np.float32),
  ]
  found = {digests.look([array]).digests["0"] for array in arrays}
  assert len(found) == len(arrays)


def test_no_sharding_changes_it():
  array = np.random.default_rng(1).normal(size=(16, 3)).astype(np.float32)
  mesh = parallel.data_mesh()
  placed = [
    jax.device_put(array, NamedSharding(mesh, PartitionSpec(*axes)))
    for axes in ((), ("data",))
  ]
  found = {digests.look([x]).digests["0"] for x in (array, *placed)}
  assert found == {reference(array)}


def test_keys_count_and_empty_leaves_do_not():
  seen = digests.look({"key": jax.random.key(3), "none": jnp.zeros(0)})
  other = digests.look({"key": jax.random.key(4), "none": jnp.zeros(0)})
  assert list(seen.digests) == ["key"]
  assert seen.digests != other.digests


def test_leaves_that_are_not_finite_are_named():
  tree = {"a": jnp.ones(2), "b": jnp.array([1, jnp.inf]), "c": jnp.arange(3)}
  assert digests.look(tree).not_finite == ("b",)


def test_combine_does_not_depend_on_the_order():
  one = {"a": "1", "b": "2"}
  assert digests.combine(one) == digests.combine(dict(reversed(one.items())))
  assert digests.combine(one) != digests.combine({"a": "2", "b": "1"})
