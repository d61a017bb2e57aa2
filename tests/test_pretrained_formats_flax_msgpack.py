"""msgpack: what flax.serialization wrote comes back; hostile streams do not."""

import flax.serialization
import jax.numpy as jnp
import ml_dtypes
import msgpack
import numpy as np
import pytest

from jft.errors import UserError
from jft.pretrained import formats

TREE = {
  "params": {
    "block": {
      "kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
      "bias": jnp.array([0.5, 1.25, -2], jnp.bfloat16),
    },
    "empty": np.zeros((0, 3), np.float16),
  },
  "step": np.int32(3),
  "count": 7,
  "rate": 0.25,
  "flag": np.array([True, False]),
  "nothing": None,
}
FLAT = {
  "params/block/kernel": TREE["params"]["block"]["kernel"],
  "params/block/bias": np.array([0.5, 1.25, -2], ml_dtypes.bfloat16),
  "params/empty": TREE["params"]["empty"],
  "step": np.array(3, np.int32),
  "count": np.array(7),
  "rate": np.array(0.25),
  "flag": TREE["flag"],
}


def same(read):
  assert set(read) == set(FLAT)
  for name, value in FLAT.items():
    assert read[name].dtype == read.specs[name].dtype == value.dtype
    assert read[name].shape == read.specs[name].shape == value.shape
    np.testing.assert_array_equal(read[name], value)


def test_what_flax_writes_is_read(tmp_path):
  path = tmp_path / "flax_model.msgpack"
  path.write_bytes(flax.serialization.msgpack_serialize(TREE))
  same(formats.read(path))
  plain = path.rename(tmp_path / "x.anything")
  same(formats.read(plain))


def test_arrays_that_flax_cuts_into_chunks(tmp_path, monkeypatch):
  monkeypatch.setattr(flax.serialization, "MAX_CHUNK_SIZE", 16)
  path = tmp_path / "x.msgpack"
  path.write_bytes(flax.serialization.msgpack_serialize(TREE))
  assert b"__msgpack_chunked_array__" in path.read_bytes()
  same(formats.read(path))


def test_lists_of_modules_are_dicts_by_number(tmp_path):
  path = tmp_path / "x.msgpack"
  tree = {"layers": [np.ones(2), np.zeros(3)]}
  path.write_bytes(flax.serialization.to_bytes(tree))
  assert list(formats.read(path)) == ["layers/0", "layers/1"]


def array(shape=(2,), dtype="float32", data=bytes(8), code=1):
  inner = msgpack.packb((shape, dtype, data), use_bin_type=True)
  return msgpack.ExtType(code, inner)


def chunks(shape, *parts):
  return {
    "__msgpack_chunked_array__": True,
    "shape": {str(i): n for i, n in enumerate(shape)},
    "chunks": {str(i): part for i, part in enumerate(parts)},
  }


@pytest.mark.parametrize(
  ("tree", "reason"),
  [
    ({"a": array(shape=(3,))}, "takes 12 bytes, got 8"),
    ({"a": array(shape=(2**40, 2**40))}, "impossible shape"),
    ({"a": array(shape=(-2, -1))}, "impossible shape"),
    ({"a": array(shape=(2.0,))}, "impossible shape"),
    ({"a": array(shape=2)}, "impossible shape"),
    ({"a": array(dtype="object")}, "dtype 'object'"),
    ({"a": array(dtype="V8")}, "dtype"),
    ({"a": array(dtype="str")}, "dtype"),
    ({"a": array(dtype=4)}, "dtype"),
    ({"a": array(data="x" * 8)}, "without bytes"),
    ({"a": array(code=2)}, "extension type 2"),
    ({"a": msgpack.ExtType(1, b"\x91\x01")}, "lacks shape"),
    ({"a": msgpack.ExtType(1, b"\x01\x01")}, "longer than it says"),
    ({"a": chunks((2,))}, "has none"),
    ({"a": chunks((3,), array())}, "takes 12 bytes"),
    ({"a": chunks((2,), array(shape=(2, 1)))}, "several kinds"),
    ({"a": chunks((4,), array(), array(dtype="int32"))}, "several kinds"),
    ({"a": {"__msgpack_chunked_array__": True}}, "without shape"),
    ({"a": "text"}, "is a str"),
    ({"a": b"bytes"}, "extension type None"),
    ({"a": [1, 2]}, "is a list"),
    ({1: array()}, "no text"),
    ({"a/b": array(), "a": {"b": array()}}, "two leaves are called 'a/b'"),
    ([array()], "expected named arrays"),
    ({"a" * 5000: array()}, "a text of 5000 bytes"),
  ],
)
def test_hostile_trees(tree, reason, tmp_path):
  path = tmp_path / "x.msgpack"
  path.write_bytes(msgpack.packb(tree, use_bin_type=True))
  with pytest.raises(UserError, match=reason) as caught:
    formats.read(path)
  assert "x.msgpack" in str(caught.value)


@pytest.mark.parametrize(
  ("content", "reason"),
  [
    (b"", "truncated"),
    (b"\x81", "truncated"),
    (b"\xdf\xff\xff\xff\xff\xa1a", "truncated"),
    (b"\xdd\xff\xff\xff\xff\x01", "truncated"),
    (b"\x81\xa1a\xc9\xff\xff\xff\xff\x01", "truncated: 4294967295 bytes"),
    (b"\x81\xa1a\xc1", "begins no value"),
    (b"\x81\xa1a" + b"\x91" * 2000, "nested deeper"),
    (b"\x81\xa1a\xdd\x00\x20\x00\x00" + bytes(2**21), "more than 1000000"),
    (b"\x82\xa1a\x01\xa1a\x01", "there twice"),
    (b"\x80\x00", "the file has 2"),
  ],
)
def test_hostile_streams(content, reason, tmp_path):
  path = tmp_path / "x.msgpack"
  path.write_bytes(content)
  with pytest.raises(UserError, match=reason):
    formats.read(path)


def test_every_truncation_is_an_error(tmp_path):
  whole = flax.serialization.msgpack_serialize(TREE)
  path = tmp_path / "cut.msgpack"
  for size in range(len(whole)):
    path.write_bytes(whole[:size])
    with pytest.raises(UserError, match=r"cut\.msgpack"):
      formats.read(path)
