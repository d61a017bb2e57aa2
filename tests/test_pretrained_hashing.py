import hashlib

import pytest

from jft import digests
from jft.errors import UserError
from jft.pretrained.hashing import Hashes


def test_one_file_has_its_own_hash_and_several_that_of_their_hashes(tmp_path):
  files = [tmp_path / name for name in "ab"]
  for file in files:
    file.write_text(file.name)
  a, b = (hashlib.sha256(name.encode()).hexdigest() for name in "ab")
  assert Hashes(files[:1]).sha256 == a
  assert Hashes(files).sha256 == hashlib.sha256((a + b).encode()).hexdigest()


def test_of_no_files_there_is_none():
  assert Hashes().sha256 == ""


def test_files_are_read_once(tmp_path, monkeypatch):
  read = []

  def note(path):
    read.append(path)
    return "x"

  monkeypatch.setattr(digests, "file_sha256", note)
  hashes = Hashes([tmp_path])
  hashes.begin()
  assert hashes.sha256 == "x"
  assert hashes.sha256 == "x"
  assert read == [tmp_path]


@pytest.mark.parametrize("change", ["gone", "longer", "replaced"])
def test_a_file_that_has_changed_is_told_to_whoever_asks(tmp_path, change):
  file = tmp_path / "weights"
  file.write_text("a")
  hashes = Hashes([file])
  if change == "gone":
    file.unlink()
  elif change == "longer":
    file.write_text("ab")
  else:
    (tmp_path / "other").write_text("b")
    (tmp_path / "other").rename(file)
  hashes.begin()
  with pytest.raises(UserError, match="weights is gone or has changed since"):
    _ = hashes.sha256
