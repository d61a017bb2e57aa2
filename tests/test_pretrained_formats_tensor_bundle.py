"""TensorFlow's checkpoints, as TensorFlow wrote them; damaged ones."""

import pathlib
import shutil

import numpy as np
import pytest

from jft.errors import UserError
from jft.pretrained import formats
from jft.pretrained.formats import crc32c, tensor_bundle

GOLDEN = pathlib.Path(__file__).parent / "golden" / "formats"
INDEX = "bert_model.ckpt.index"
DATA = "bert_model.ckpt.data-00000-of-00001"


@pytest.fixture
def folder(tmp_path):
  for name in (INDEX, DATA):
    shutil.copy(GOLDEN / name, tmp_path)
  return tmp_path


def test_variables_of_a_graph():
  read = formats.read(GOLDEN / INDEX)
  with np.load(GOLDEN / "expected.npz") as arrays:
    wanted = {
      name.removeprefix("graph/"): arrays[name]
      for name in arrays
      if name.startswith("graph/")
    }
  assert set(read) == set(wanted)
  assert len(read) == 24
  for name, value in wanted.items():
    assert read.specs[name].shape == read[name].shape == value.shape
    np.testing.assert_array_equal(read[name].astype(np.float32), value)
  kinds = {name: str(spec.dtype) for name, spec in read.specs.items()}
  assert kinds["half"] == "bfloat16"
  assert (kinds["global_step"], kinds["flags"]) == ("int64", "bool")


def test_variables_of_an_object_lose_what_tf_2_adds():
  read = formats.read(GOLDEN / "object.index")
  assert {name: value.tolist() for name, value in read.items()} == {
    "model/bias": [1, -2, 3],
    "model/kernel": [[0, 1, 2], [3, 4, 5]],
  }
  assert read["model/bias"].dtype == np.float16


def test_data_files_are_found_and_missed(folder):
  assert tensor_bundle.shards(folder / INDEX) == (folder / DATA,)
  (folder / DATA).unlink()
  with pytest.raises(UserError, match=f"1 are missing beside it: {DATA}"):
    formats.read(folder / INDEX)


def test_a_flipped_bit_of_the_data_fails_its_checksum(folder):
  data = bytearray((folder / DATA).read_bytes())
  data[100] ^= 4
  (folder / DATA).write_bytes(data)
  read = formats.read(folder / INDEX)
  bad = []
  for name in read:
    try:
      _ = read[name]
    except UserError as error:
      assert "does not match its checksum" in str(error)  # noqa: PT017
      bad.append(name)
  assert len(bad) == 1


def test_a_flipped_bit_of_the_index_changes_nothing_or_is_an_error(folder):
  whole = (folder / INDEX).read_bytes()
  specs, harmless = formats.read(folder / INDEX).specs, 0
  for at in range(0, len(whole), 5):
    data = bytearray(whole)
    data[at] ^= 1 << at % 8
    (folder / INDEX).write_bytes(data)
    try:
      read = formats.read(folder / INDEX)
    except UserError:
      continue
    harmless += 1
    assert read.specs == specs
  # The block that describes filters and the padding are not looked at.
  assert harmless < 12


def test_every_truncation_is_an_error(folder):
  whole = (folder / INDEX).read_bytes()
  for size in range(0, len(whole), 11):
    (folder / INDEX).write_bytes(whole[:size])
    with pytest.raises(UserError, match=r"bert_model\.ckpt\.index"):
      formats.read(folder / INDEX)
  (folder / INDEX).write_bytes(whole)
  (folder / DATA).write_bytes((folder / DATA).read_bytes()[:-1])
  with pytest.raises(UserError, match="is truncated"):
    formats.read(folder / INDEX)


def sealed(records):
  """Returns an index with one block, its checksums in order."""

  def number(n):
    out = bytearray()
    while n >= 128:
      out.append(n % 128 + 128)
      n //= 128
    return bytes([*out, n])

  def block(rows):
    data = b"".join(
      bytes(1) + number(len(key)) + number(len(value)) + key + value
      for key, value in rows
    )
    data += bytes(4) + (1).to_bytes(4, "little") + bytes(1)
    crc = crc32c.of(data)
    masked = ((crc >> 15 | crc << 17) % 2**32 + 0xA282EAD8) % 2**32
    return data + masked.to_bytes(4, "little")

  body = block(records)
  where = number(0) + number(len(body) - 5)
  index = block([(b"z", where)])
  handles = where + number(len(body)) + number(len(index) - 5)
  return (
    body + index + handles.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")
  )


HEADER = (b"", b"\x08\x01")
FLOATS = b"\x08\x01\x12\x04\x12\x02\x08\x02\x28\x08\x35"  # float32 [2], 8 bytes


def test_a_made_index_is_read(folder):
  crc = crc32c.of(bytes(8))
  masked = ((crc >> 15 | crc << 17) % 2**32 + 0xA282EAD8) % 2**32
  record = FLOATS + masked.to_bytes(4, "little")
  (folder / INDEX).write_bytes(sealed([HEADER, (b"a", record)]))
  (folder / DATA).write_bytes(bytes(8))
  assert formats.read(folder / INDEX)["a"].tolist() == [0, 0]


@pytest.mark.parametrize(
  ("records", "reason"),
  [
    ([], "header"),
    ([(b"a", b"")], "header"),
    ([(b"", b"\x08\x00")], "claims 0 data files"),
    ([(b"", b"\x08\xff\xff\xff\x7f")], "data files"),
    ([(b"", b"\x08\x01\x10\x01")], "big-endian"),
    ([HEADER, (b"a", FLOATS)], "cut or malformed"),
    ([HEADER, (b"a", b"\x08\x01")], "no checksum"),
    ([HEADER, (b"a", b"\x08\x63")], "dtype number 99"),
    ([HEADER, (b"a", b"\x08\x01\x3a\x00")], "partitioned"),
    ([HEADER, (b"a", FLOATS[:-2] + b"\x09\x35....")], "takes 8 bytes, got 9"),
    ([HEADER, (b"a", b"\x18\x05" + FLOATS + b"....")], "data file 5 of 1"),
    ([HEADER, (b"a", b"\x20\xff\xff\x7f" + FLOATS + b"....")], "truncated"),
    (
      [HEADER, (b"a", b"\x08\x01\x12\x0d\x12\x0b\x08" + b"\xff" * 9 + b"\x01")],
      "impossible shape",
    ),
    ([HEADER, (b"a", b"\xff" * 11)], "too long"),
    ([HEADER, (b"b", b"\x08\x07"), (b"a", b"\x08\x07")], "not in order"),
  ],
)
def test_hostile_records(records, reason, folder):
  (folder / INDEX).write_bytes(sealed(records))
  with pytest.raises(UserError, match=reason):
    formats.read(folder / INDEX)


def test_checksum_against_the_published_vectors():
  # RFC 3720, B.4.
  assert crc32c.of(bytes(32)) == 0x8A9136AA
  assert crc32c.of(b"\xff" * 32) == 0x62A8AB43
  assert crc32c.of(bytes(range(32))) == 0x46DD794E
  assert crc32c.of(b"") == 0


@pytest.mark.parametrize("size", [1, 7, 8, 1023, 1024, 1025, 3072, 70_001])
def test_checksum_of_any_length_equals_the_byte_by_byte_one(size):
  data = np.random.default_rng(size).bytes(size)
  crc = 2**32 - 1
  for byte in data:
    crc ^= byte
    for _ in range(8):
      crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
  assert crc32c.of(data) == crc ^ 2**32 - 1
