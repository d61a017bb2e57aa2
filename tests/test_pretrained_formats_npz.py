"""npz: what NumPy wrote comes back; nothing is unpickled, nothing explodes."""

import io
import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest

from jft.errors import UserError
from jft.pretrained import formats

ARRAYS = {
  "params/a/kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
  "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
  "big_endian": np.array([1, 2**40], ">i8"),
  "bfloat16": np.array([0.5, 1.25], ml_dtypes.bfloat16),
  "half": np.array([0.5, 1.25], np.float16),
  "bool": np.array([True, False]),
  "scalar": np.array(7, np.int32),
  "empty": np.zeros((0, 3), np.float32),
  "one": np.ones(1, np.complex64),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_saves_is_read(save, tmp_path):
  path = tmp_path / "weights.anything.npz"
  save(path, **ARRAYS)
  read = formats.read(path)
  assert list(read) == list(ARRAYS)
  for name, value in ARRAYS.items():
    native = value.dtype.newbyteorder("=")
    assert read[name].dtype == read.specs[name].dtype == native
    assert read.specs[name].shape == read[name].shape == value.shape
    np.testing.assert_array_equal(read[name], value)


def npy(array, **options):
  buffer = io.BytesIO()
  np.save(buffer, array, **options)
  return buffer.getvalue()


def header(text, data=b""):
  text = text.encode("latin-1")
  length = len(text).to_bytes(2, "little")
  return b"\x93NUMPY\x01\x00" + length + text + data


def described(descr="'<f4'", fortran="False", shape="(2,)"):
  return (
    f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"
  )


def archive(path, entries, compress=zipfile.ZIP_STORED):
  with zipfile.ZipFile(path, "w", compress) as made:
    for name, data in entries.items():
      made.writestr(name, data)
  return path


class Evil:
  def __reduce__(self):
    return (exec, ("raise SystemExit('ran')",))


@pytest.mark.parametrize(
  ("entry", "reason"),
  [
    (npy(np.array([{}]), allow_pickle=True), "never unpickled"),
    (npy(np.array([Evil()]), allow_pickle=True), "never unpickled"),
    (pickle.dumps(Evil()), r"is no \.npy array"),
    (npy(np.zeros(2, [("a", "f4")])), "no array of numbers"),
    (npy(np.array(["a"])), "no array of numbers"),
    (npy(np.array(["2020-01-01"], "M8[D]")), "no array of numbers"),
    (header(described(), bytes(7)), "takes 8 bytes, the archive holds 7"),
    (header(described(shape="(2**40,)")), "does not write"),
    (header(described(shape=f"({'9' * 12}, {'9' * 12})")), "impossible shape"),
    (header(described(shape="(1099511627776,)")), "takes 4398046511104 bytes"),
    (header(described(shape="(-1,)")), "does not write"),
    (header(described(shape=f"({'1' * 4000}")), "does not write"),
    (header(described(descr="__import__('os')")), "does not write"),
    (header(described(descr="'<f4' * 9")), "does not write"),
    (b"\x93NUMPY\x09\x00\x00\x00", "version 1 to 3"),
    (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "header of 4294967295 bytes"),
    (b"\x93NUMPY\x01\x00", "truncated or damaged"),
    (b"", "version 1 to 3"),
  ],
)
def test_hostile_entries(entry, reason, tmp_path):
  path = archive(tmp_path / "x.npz", {"a.npy": entry})
  with pytest.raises(UserError, match=reason) as caught:
    formats.read(path)
  assert "x.npz" in str(caught.value)


def test_names_are_names_and_no_paths(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  names = ["../../evil", "/etc/evil", "C:\\evil"]
  entries = {f"{name}.npy": npy(np.ones(2)) for name in names}
  read = formats.read(archive(tmp_path / "x.npz", entries))
  assert [read[name].tolist() for name in read] == [[1, 1]] * 3
  assert [file.name for file in tmp_path.iterdir()] == ["x.npz"]


def test_bombs_are_refused_and_plain_zeros_are_not(tmp_path):
  deflated = zipfile.ZIP_DEFLATED
  small = {"a.npy": npy(np.zeros(10**6, np.float32))}
  read = formats.read(archive(tmp_path / "a.npz", small, deflated))
  assert not read["a"].any()
  bomb = {"a.npy": npy(np.zeros(20 * 10**6, np.float32))}
  path = archive(tmp_path / "b.npz", bomb, deflated)
  assert path.stat().st_size < 100_000
  with pytest.raises(UserError, match="inflates to 80000128 bytes"):
    formats.read(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_flipped_bit_fails_the_checksum(save, tmp_path):
  path = tmp_path / "x.npz"
  rng = np.random.default_rng(0)
  save(path, a=rng.normal(size=1000))
  data = bytearray(path.read_bytes())
  data[4000] ^= 1
  path.write_bytes(data)
  with pytest.raises(UserError, match=r"x\.npz"):
    formats.read(path)["a"]


def test_every_truncation_is_an_error(tmp_path):
  np.savez(tmp_path / "x.npz", **ARRAYS)
  whole = (tmp_path / "x.npz").read_bytes()
  path = tmp_path / "cut.npz"
  for size in range(1, len(whole), 37):
    path.write_bytes(whole[:size])
    with pytest.raises(UserError, match=r"cut\.npz"):
      formats.read(path)
