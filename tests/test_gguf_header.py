"""GGUF's header: every kind of value, and no trust in any count."""

import struct

import pytest

from jft import gguf_header
from jft.errors import UserError


def text(value):
  data = value.encode()
  return struct.pack("<Q", len(data)) + data


def pair(key, kind, data):
  return text(key) + struct.pack("<I", kind) + data


def array(kind, count, data):
  return struct.pack("<IQ", kind, count) + data


def header(*pairs, tensors=b"", count=0, version=3):
  start = struct.pack("<IQQ", version, count, len(pairs))
  return b"GGUF" + start + b"".join(pairs) + tensors


VALUES = (
  pair("u8", 0, b"\xff"),
  pair("i8", 1, b"\xff"),
  pair("u16", 2, b"\xff\xff"),
  pair("i16", 3, b"\xff\xff"),
  pair("u32", 4, b"\xff" * 4),
  pair("i32", 5, b"\xff" * 4),
  pair("f32", 6, struct.pack("<f", 0.5)),
  pair("bool", 7, b"\x01"),
  pair("text", 8, text("ü")),
  pair("u64", 10, b"\xff" * 8),
  pair("i64", 11, b"\xff" * 8),
  pair("f64", 12, struct.pack("<d", 0.1)),
  pair("texts", 9, array(8, 2, text("a") + text(""))),
  pair("numbers", 9, array(5, 2, struct.pack("<ii", -1, 2))),
  pair("flags", 9, array(7, 2, b"\x00\x02")),
  pair("nested", 9, array(9, 1, array(0, 1, b"\x07"))),
)
DEEP = array(0, 0, b"")
for _ in range(4):
  DEEP = array(9, 1, DEEP)
MANY_AXES = text("w") + struct.pack("<I", 9) + bytes(99)
PLACE = text("w") + struct.pack("<IQQIQ", 2, 3, 4, 0, 64)


def test_every_kind_of_value(tmp_path):
  path = tmp_path / "x.gguf"
  path.write_bytes(header(*VALUES, tensors=PLACE, count=1))
  found = gguf_header.read(path)
  plain = {
    key: getattr(value, "tolist", lambda value=value: value)()
    for key, value in found.metadata.items()
  }
  plain["nested"] = [row.tolist() for row in plain["nested"]]
  assert plain == {
    "u8": 255,
    "i8": -1,
    "u16": 65535,
    "i16": -1,
    "u32": 2**32 - 1,
    "i32": -1,
    "u64": 2**64 - 1,
    "i64": -1,
    "f32": 0.5,
    "f64": 0.1,
    "bool": True,
    "text": "ü",
    "texts": ["a", ""],
    "numbers": [-1, 2],
    "flags": [False, True],
    "nested": [[7]],
  }
  size = path.stat().st_size
  start = -(-size // 32) * 32
  assert found.tensors == {"w": ((4, 3), 0, start + 64)}


@pytest.mark.parametrize(
  ("data", "message"),
  [
    (b"GGML" + bytes(30), "it begins with b'GGML'"),
    (header(version=1), "version 1; jft reads 2 and 3"),
    (b"GGUF\0\0\0\3" + bytes(16), "this file is big-endian"),
    (header(count=2**40), "claims 1099511627776 entries of 24 bytes"),
    (header(pair("a", 9, array(8, 2**50, b""))), "entries of 8 bytes or more"),
    (header(pair("a", 9, array(0, 2**50, b""))), "entries of 1 bytes or more"),
    (header(pair("a", 13, b"")), "unknown type 13"),
    (header(pair("a", 9, DEEP)), "unknown type 9"),
    (header(pair("a", 0, b"1"), pair("a", 0, b"1")), "'a' comes twice"),
    (header(pair("a", 8, struct.pack("<Q", 1) + b"\xff")), "not UTF-8"),
    (header(tensors=PLACE * 2, count=2), "'w' comes twice"),
    (header(tensors=MANY_AXES, count=1), "9 axes"),
    (header(pair("general.alignment", 4, bytes(4))), "alignment is 0"),
    (header(pair("split.count", 2, b"\x03\x00")), "one part of 3; join them"),
  ],
)  # fmt: skip
def test_damage_is_named(tmp_path, data, message):
  path = tmp_path / "x.gguf"
  path.write_bytes(data)
  with pytest.raises(UserError) as error:
    gguf_header.read(path)
  assert message in str(error.value)
  assert "x.gguf" in str(error.value)


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(UserError, match="cannot read"):
    gguf_header.read(tmp_path / "x.gguf")
