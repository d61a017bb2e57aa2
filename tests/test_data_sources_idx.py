import gzip
import tracemalloc

import numpy as np
import pytest

from jft.data import idx
from jft.errors import UserError

IMAGES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
LABELS = np.array([7, 0, 2], np.uint8)


def _idx(array):
  shape = b"".join(size.to_bytes(4, "big") for size in array.shape)
  return bytes([0, 0, 8, array.ndim]) + shape + array.tobytes()


@pytest.fixture
def folder(tmp_path):
  images, labels = _idx(IMAGES), _idx(LABELS)
  (tmp_path / "t10k-images-idx3-ubyte").write_bytes(images)
  (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(labels)
  for stem, data in (("images-idx3", images), ("labels-idx1", labels)):
    file = tmp_path / f"train-{stem}-ubyte.gz"
    file.write_bytes(gzip.compress(data))
  return tmp_path


@pytest.mark.parametrize("split", ["train", "test"])
def test_files_are_read_gzipped_or_not(folder, split):
  source = idx(folder, split)
  assert source.name == f"{folder.name}/{split}"
  assert source.label_names == tuple("01234567")
  np.testing.assert_array_equal(source[1]["image"], IMAGES[1][..., None])
  assert source.labels.tolist() == [7, 0, 2]


def test_a_label_beyond_the_given_names_is_an_error(folder):
  with pytest.raises(UserError, match="label 7, which is none of 3 classes"):
    idx(folder, label_names=["a", "b", "c"])


def test_a_missing_file_is_named(folder):
  (folder / "train-labels-idx1-ubyte.gz").unlink()
  with pytest.raises(
    UserError, match=r"neither train-labels-idx1-ubyte\.gz nor"
  ):
    idx(folder)


@pytest.mark.parametrize(
  ("data", "message"),
  [
    (_idx(IMAGES)[:-1], r"says \(3, 4, 5\), but 59 bytes follow"),
    (_idx(IMAGES) + b"x", "but more bytes follow"),
    (bytes([0, 0, 8, 70]) + 70 * bytes([0, 0, 0, 1]) + b"x", "not an idx file"),
    # Too many for 64 bits.
    (
      bytes([0, 0, 8, 3]) + bytes.fromhex("ffffffff ffffffff 00000001") + b"x",
      r"says \(4294967295, 4294967295, 1\), but 1 bytes",
    ),
    (bytes([0, 0, 8, 3]) + bytes(12), r"is empty: its header says \(0, 0, 0\)"),
    (_idx(IMAGES)[:9], "not an idx file"),
    (b"<html>", "not an idx file"),
    (b"", "not an idx file"),
    (_idx(LABELS), "images of 3 axes"),
  ],
)
def test_a_damaged_file_is_named(folder, data, message):
  (folder / "t10k-images-idx3-ubyte").write_bytes(data)
  with pytest.raises(UserError, match=message):
    idx(folder, "test")


def test_a_damaged_gzip_is_named(folder):
  file = folder / "train-images-idx3-ubyte.gz"
  file.write_bytes(file.read_bytes()[:-9])
  with pytest.raises(UserError, match="cannot read this file"):
    idx(folder)


@pytest.mark.parametrize("at", [3, 12, 20, 40])
def test_a_flipped_bit_in_a_gzip_is_named(folder, at):
  file = folder / "train-images-idx3-ubyte.gz"
  data = bytearray(file.read_bytes())
  data[at] ^= 0x40
  file.write_bytes(data)
  if at != 3:  # a flag that gzip does not look at
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz"):
      idx(folder)


def test_a_gzip_bomb_is_not_inflated(folder):
  head = _idx(IMAGES)
  file = folder / "train-images-idx3-ubyte.gz"
  file.write_bytes(gzip.compress(head + bytes(2**27)))
  tracemalloc.start()
  with pytest.raises(UserError, match="but more bytes follow"):
    idx(folder)
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert peak < 2**24


def test_an_unknown_split_is_an_error(folder):
  with pytest.raises(UserError, match="got 'dev'"):
    idx(folder, "dev")
