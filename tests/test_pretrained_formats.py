"""Weights files that torch and safetensors wrote, against what they hold."""

import io
import json
import pathlib
import pickle
import struct
import zipfile

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from jft.errors import UserError
from jft.pretrained import formats
from jft.pretrained.formats import lazy, sharded, torch_pickle
from jft.pretrained.formats import safetensors as st_format

GOLDEN = pathlib.Path(__file__).parent / "golden" / "torch"
BF16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = {
  "base": "float32",
  "shared_transposed": "float32",
  "shared_slice": "float32",
  "expanded": "float32",
  "parameter": "float32",
  "tagged": "float32",
  "f64": "float64",
  "f16": "float16",
  "bf16": "bfloat16",
  "i64": "int64",
  "i32": "int32",
  "i16": "int16",
  "i8": "int8",
  "u8": "uint8",
  "bool": "bool",
  "c64": "complex64",
  "empty": "float32",
}
NEWER = {"f8_e4m3": "float8_e4m3fn", "f8_e5m2": "float8_e5m2", "u16": "uint16"}


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
  with np.load(GOLDEN / "expected.npz") as arrays:
    return dict(arrays)


# --- torch's files -----------------------------------------------------------


@pytest.mark.parametrize(
  ("file", "dtypes"),
  [
    ("zip.pth", DTYPES),
    ("legacy.pth", DTYPES),
    ("protocol4.pth", DTYPES),
    ("newer.pth", NEWER),
  ],
)
def test_torch_file_equals_what_torch_holds(file, dtypes, expected):
  read = formats.read(GOLDEN / file)
  assert list(read) == list(dtypes)
  for name, dtype in dtypes.items():
    got = read[name]
    assert got.dtype.name == read.specs[name].dtype.name == dtype, name
    assert got.shape == read.specs[name].shape == expected[name].shape
    assert got.flags.c_contiguous
    wide = got if got.dtype.kind in "fiubc" else got.astype(np.float32)
    np.testing.assert_array_equal(wide, expected[name], err_msg=name)


def test_torch_values_are_the_literals_they_were_made_from():
  read = formats.read(GOLDEN / "zip.pth")
  np.testing.assert_array_equal(
    read["shared_slice"], [[0.5, 0.75], [1.0, 1.25]]
  )
  np.testing.assert_array_equal(read["expanded"], [[1.5, -2.5]] * 3)
  np.testing.assert_array_equal(read["i32"], [5, 6, 7, 8])
  assert read["bf16"].astype(float).tolist() == [
    [0.0, 1.25, 2.5],
    [3.75, 5.0, 6.25],
  ]
  assert int(read["i64"]) == 7
  assert read["bool"].tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize("file", ["checkpoint.pth", "checkpoint_legacy.pth"])
def test_wrapper_and_module_prefix_are_taken_off(file, expected):
  read = formats.read(GOLDEN / file)
  names = [n.removeprefix("net.") for n in expected if n.startswith("net.")]
  assert sorted(read) == sorted(names)
  assert "1.num_batches_tracked" in read
  for name in names:
    np.testing.assert_array_equal(read[name], expected[f"net.{name}"])


def test_whole_model_is_refused_and_says_what_to_save():
  with pytest.raises(
    UserError, match=r"Sequential.*save model\.state_dict\(\)"
  ):
    formats.read(GOLDEN / "whole_model.pth")


def test_each_access_is_a_fresh_array_even_for_shared_storage():
  read = formats.read(GOLDEN / "zip.pth")
  first = read["base"]
  first[:] = 99
  assert read["shared_transposed"].max() == 11 / 8
  assert read["base"].max() == 11 / 8


@pytest.mark.parametrize("file", ["zip.pth", "legacy.pth"])
def test_every_truncation_is_an_error_that_names_the_file(file, tmp_path):
  whole = (GOLDEN / file).read_bytes()
  path = tmp_path / "cut.pth"
  for size in [*range(1, len(whole), 61), len(whole) - 1]:
    path.write_bytes(whole[:size])
    with pytest.raises(UserError, match=r"cut\.pth"):
      formats.read(path)


def test_flipped_bit_in_a_stored_tensor_fails_its_checksum(tmp_path):
  data = bytearray((GOLDEN / "zip.pth").read_bytes())
  at = data.index(np.float64(1e300).tobytes())
  data[at] ^= 1
  path = tmp_path / "bit.pth"
  path.write_bytes(data)
  read = formats.read(path)
  with pytest.raises(UserError, match="checksum"):
    read["f64"]
  assert int(read["i64"]) == 7


def test_unwrap_strips_only_what_all_names_share():
  array = np.zeros(1)
  unwrap = torch_pickle.unwrap
  assert list(unwrap({"module.a": array, "b": array})) == ["module.a", "b"]
  assert list(unwrap({"_orig_mod.module.a": array})) == ["a"]
  assert list(unwrap({"model": {"state_dict": {"a": array}}})) == ["a"]
  # A parameter may itself be called "model".
  assert list(unwrap({"model": array})) == ["model"]
  with pytest.raises(UserError, match=r"'epoch' is a int.*state_dict"):
    unwrap({"epoch": 3, "net": {"a": array}})
  with pytest.raises(UserError, match="'lr' is a float"):
    unwrap({"state_dict": {"a": array, "lr": 0.1}})
  with pytest.raises(UserError, match="got a list"):
    unwrap([array])


# --- safetensors -------------------------------------------------------------


def arrays() -> dict[str, np.ndarray]:
  return {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.array([True, False, True]),
    "scalar": np.array(2.5, np.float64),
    "half": np.array([1, 2], np.float16),
    "long": np.array([[-1], [2]], np.int64),
    "empty": np.zeros((0, 4), np.float32),
  }


def test_write_gives_the_very_bytes_of_the_reference(tmp_path):
  st_format.write(tmp_path / "x", arrays(), {"format": "pt"})
  reference = safetensors.numpy.save(arrays(), {"format": "pt"})
  assert (tmp_path / "x").read_bytes() == reference


def test_read_equals_the_reference(tmp_path):
  path = tmp_path / "x.safetensors"
  safetensors.numpy.save_file(arrays(), path, {"k": "v"})
  read = formats.read(path)
  assert st_format.read_metadata(path) == {"k": "v"}
  for name, value in safetensors.numpy.load_file(path).items():
    assert read[name].dtype == read.specs[name].dtype == value.dtype
    np.testing.assert_array_equal(read[name], value)
  assert set(read) == set(arrays())


def test_bfloat16_written_by_torch():
  read = formats.read(GOLDEN / "half.safetensors")
  assert {name: str(spec.dtype) for name, spec in read.specs.items()} == {
    "bf16": "bfloat16",
    "f16": "float16",
    "i64": "int64",
  }
  assert read["bf16"].astype(float).tolist()[1] == [3.75, 5.0, 6.25]
  assert st_format.read_metadata(GOLDEN / "half.safetensors") == {
    "format": "pt"
  }


def test_every_dtype_goes_there_and_back(tmp_path):
  made = {
    name: np.array([0, 1, 1], np.uint8).astype(dtype)
    for name, dtype in st_format.DTYPES.items()
  }
  st_format.write(tmp_path / "x", made)
  read = st_format.read(tmp_path / "x")
  for name, value in made.items():
    assert read[name].dtype == value.dtype
    np.testing.assert_array_equal(read[name], value)
  with pytest.raises(UserError, match="no dtype complex128"):
    st_format.write(tmp_path / "y", {"z": np.zeros(1, np.complex128)})


def test_jax_arrays_and_non_contiguous_ones_are_written(tmp_path):
  import jax.numpy as jnp

  x = np.arange(6, dtype=np.float32).reshape(2, 3)
  st_format.write(tmp_path / "x", {"t": x.T, "j": jnp.asarray(x, jnp.bfloat16)})
  read = st_format.read(tmp_path / "x")
  np.testing.assert_array_equal(read["t"], x.T)
  assert read["j"].dtype == BF16


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
  path = tmp_path / "x.safetensors"
  st_format.write(path, {"a": np.ones(3, np.float32)})

  def fail(name):
    raise OSError("disk full")

  specs = formats.read(path).specs
  with pytest.raises(OSError, match="disk full"):
    st_format.write(path, lazy.Tensors(specs, fail))
  assert [child.name for child in tmp_path.iterdir()] == ["x.safetensors"]
  assert formats.read(path)["a"].tolist() == [1, 1, 1]


def raw(header: object, data: bytes = b"", count: int | None = None) -> bytes:
  text = header if isinstance(header, bytes) else json.dumps(header).encode()
  return struct.pack("<Q", len(text) if count is None else count) + text + data


def row(dtype="F32", shape=(1,), offsets=(0, 4)) -> dict:
  return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
  ("content", "reason"),
  [
    (b"", "header claims 0 bytes"),
    (b"\x01\x02", "header claims"),
    (raw(b"{}", count=2**63), "header claims 9223372036854775808 bytes"),
    (raw({}, count=100), "the file has 2 after"),
    (raw(b"[" * 100_000), "malformed"),
    (raw(b"{\xff}"), "malformed"),
    (raw(b"[]"), "not a JSON object"),
    (raw(b'{"a": 1, "a": 2}'), "occurs twice"),
    (raw({"__metadata__": {"a": 1}}), "strings to strings"),
    (raw({"a": 3}), "lacks dtype"),
    (raw({"a": {"dtype": "F32"}}), "lacks dtype"),
    (raw({"a": row(dtype="Q4")}, bytes(4)), "dtype 'Q4'"),
    (raw({"a": row(dtype=["F32"])}, bytes(4)), "dtype"),
    (raw({"a": row(shape=[-1])}, bytes(4)), "malformed shape"),
    (raw({"a": row(shape=[1.0])}, bytes(4)), "malformed shape"),
    (raw({"a": row(shape=[True])}, bytes(4)), "malformed shape"),
    (raw({"a": row(shape=[2])}, bytes(4)), "takes 8 bytes"),
    (raw({"a": row(shape=[2**39] * 30)}, bytes(4)), "malformed shape"),
    (
      raw({"a": row(shape=[2**39, 2**39, 0], offsets=[0, 0])}),
      "malformed shape",
    ),
    (raw({"a": row(offsets=[4, 8])}, bytes(8)), "hole or overlap"),
    (raw({"a": row(), "b": row()}, bytes(4)), "hole or overlap"),
    (raw({"a": row()}, bytes(3)), "truncated: expected"),
    (raw({"a": row()}, bytes(5)), "longer than its header"),
  ],
)
def test_malformed_safetensors(content, reason, tmp_path):
  path = tmp_path / "bad.safetensors"
  path.write_bytes(content)
  with pytest.raises(UserError, match=r"bad\.safetensors") as caught:
    formats.read(path)
  assert reason in str(caught.value)


def test_any_byte_but_zero_is_true(tmp_path):
  path = tmp_path / "x.safetensors"
  header = {"a": row(dtype="BOOL", shape=[4], offsets=[0, 4])}
  path.write_bytes(raw(header, b"\x00\x01\x02\xff"))
  read = formats.read(path)["a"]
  assert read.view(np.uint8).tolist() == [0, 1, 1, 1]


def test_truncation_says_expected_and_got(tmp_path):
  path = tmp_path / "x.safetensors"
  st_format.write(path, {"a": np.ones(256, np.float32)})
  whole = path.stat().st_size
  path.write_bytes(path.read_bytes()[:-24])
  with pytest.raises(
    UserError, match=rf"expected {whole} bytes, got {whole - 24}"
  ):
    formats.read(path)


def test_a_tensor_is_read_on_access_and_not_before(tmp_path):
  path = tmp_path / "x.safetensors"
  st_format.write(path, {"a": np.ones(4, np.float32), "b": np.zeros(4)})
  read = formats.read(path)
  assert formats.shape_of(read, "a") == (4,)
  path.write_bytes(path.read_bytes()[:-8])  # cuts the last tensor, float32 "a"
  assert read["b"].tolist() == [0, 0, 0, 0]
  with pytest.raises(UserError, match="truncated: expected 16 bytes"):
    read["a"]
  with pytest.raises(KeyError):
    read["c"]


# --- sharded models ----------------------------------------------------------


def write_shards(folder: pathlib.Path, **change: object) -> pathlib.Path:
  st_format.write(folder / "s-1-of-2.safetensors", {"a": np.ones(2)})
  st_format.write(folder / "s-2-of-2.safetensors", {"b": np.zeros(3)})
  where = {"a": "s-1-of-2.safetensors", "b": "s-2-of-2.safetensors"} | change
  index = folder / "model.safetensors.index.json"
  where = {name: file for name, file in where.items() if file is not None}
  index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
  return index


def test_index_reads_every_shard(tmp_path):
  index = write_shards(tmp_path)
  for read in (formats.read(index), st_format.read_index(index)):
    assert {name: value.tolist() for name, value in read.items()} == {
      "a": [1.0, 1.0],
      "b": [0.0, 0.0, 0.0],
    }
  assert [file.name for file in sharded.shards(index)] == [
    "s-1-of-2.safetensors",
    "s-2-of-2.safetensors",
  ]


@pytest.mark.parametrize(
  ("change", "reason"),
  [
    ({"b": "../s-2-of-2.safetensors"}, "not the name of a weights"),
    ({"b": "/etc/passwd"}, "not the name of a weights"),
    ({"b": ".."}, "not the name of a weights"),
    ({"b": 3}, "not the name of a weights"),
    ({"b": "model.safetensors.index.json"}, "not the name of a weights"),
    ({"b": "s-3-of-2.safetensors"}, "1 are missing"),
    ({"b": "s" * 5000}, "1 are missing"),
    ({"c": "s-1-of-2.safetensors"}, "not in the file"),
    ({"b": "s-1-of-2.safetensors"}, "not in the file"),
    ({"a": "s-2-of-2.safetensors"}, "not in the file"),
  ],
)
def test_index_that_does_not_fit_its_shards(change, reason, tmp_path):
  with pytest.raises(UserError, match=reason):
    formats.read(write_shards(tmp_path, **change))


def test_shard_with_more_than_the_index_says(tmp_path):
  index = write_shards(tmp_path)
  st_format.write(
    tmp_path / "s-1-of-2.safetensors", {"a": np.ones(2), "z": np.ones(1)}
  )
  with pytest.raises(UserError, match=r"holds 1 names.*'z'"):
    formats.read(index)


# --- telling formats apart ---------------------------------------------------


def test_content_decides_and_not_the_suffix(tmp_path):
  for file in ("zip.pth", "legacy.pth", "half.safetensors"):
    path = tmp_path / "weights.xyz"
    path.write_bytes((GOLDEN / file).read_bytes())
    assert list(formats.read(path)) == list(formats.read(GOLDEN / file))


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04\x95", bytes(99)])
def test_unknown_content_lists_the_known_formats(content, tmp_path):
  path = tmp_path / "weights.dat"
  path.write_bytes(content)
  with pytest.raises(UserError, match=r"weights\.dat.*torch zip.*safetensors"):
    formats.read(path)


def test_other_zips_folders_and_missing_files(tmp_path):
  with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
    archive.writestr("a.txt", "hello")
  with pytest.raises(UserError, match="no format"):
    formats.read(tmp_path / "x.zip")
  with pytest.raises(UserError, match="is a folder"):
    formats.read(tmp_path)
  with pytest.raises(UserError, match="cannot read"):
    formats.read(tmp_path / "gone.pth")
  buffer = io.BytesIO()
  pickle.dump({"a": 1}, buffer)
  (tmp_path / "plain.pkl").write_bytes(buffer.getvalue())
  with pytest.raises(UserError, match="no format"):
    formats.read(tmp_path / "plain.pkl")
