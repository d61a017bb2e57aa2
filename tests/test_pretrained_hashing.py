import hashlib

import pytest

from jft.pretrained import hashing
from jft.pretrained.hashing import Hashes


def test_one_file_has_its_own_hash_and_several_that_of_their_hashes(tmp_path):
  files = [tmp_path / name for name in "ab"]
  for file in files:
    file.write_text(file.name)
  a, b = (hashlib.sha256(name.encode()).hexdigest() for name in "ab")
  assert Hashes(files[:1]).sha256 == a
  assert Hashes(files).sha256 == hashlib.sha256((a + b).encode()).hexdigest()


def test_files_are_read_once_and_behind_the_body(tmp_path, monkeypatch):
  read = []
  monkeypatch.setattr(hashing, "sha256", lambda path: read.append(path) or "x")
  hashes = Hashes([tmp_path])
  with hashes.behind():
    assert hashes.sha256 == "x"
  assert hashes.sha256 == "x"
  assert read == [tmp_path]


def test_a_file_that_cannot_be_read_is_told_to_whoever_asks(tmp_path):
  hashes = Hashes([tmp_path / "missing"])
  with hashes.behind():
    pass
  with pytest.raises(FileNotFoundError):
    _ = hashes.sha256
