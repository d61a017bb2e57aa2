"""Checksums of a folder, and manifests that nobody honest wrote."""

import json
import zlib

import pytest

from jft.disk import manifest


@pytest.fixture
def folder(tmp_path):
  (tmp_path / "d").mkdir()
  (tmp_path / "a").write_bytes(b"aa")
  (tmp_path / "d" / "b").write_bytes(b"b")
  manifest.write(tmp_path)
  return tmp_path


def test_what_is_written_is_sizes_and_checksums(folder):
  assert json.loads((folder / manifest.FILE).read_text()) == {
    "a": [2, zlib.crc32(b"aa")],
    "d/b": [1, zlib.crc32(b"b")],
  }
  assert manifest.problems(folder) == []


@pytest.mark.parametrize(
  "text",
  [
    "",
    "[]",
    "3",
    "[" * 100_000,
    "\0",
    '{"a": 1.5}',
    '{"a": [2]}',
    '{"a": [2, 3, 4]}',
    '{"a": ["2", 3]}',
    '{"a": [2, null]}',
    '{"a": {"2": 3}}',
  ],
)
def test_a_damaged_manifest_is_one_problem(folder, text):
  (folder / manifest.FILE).write_text(text)
  assert manifest.problems(folder) == ["manifest.json is damaged"]


@pytest.mark.parametrize(
  "name",
  ["/dev/zero", "../a", "d/../a", "d", "a/b", "x" * 5000, "\0", "\ud800", ""],
)
def test_only_what_lies_in_the_folder_is_opened(folder, name):
  # /dev/zero never ends; what lies outside is not this checkpoint's.
  (folder / manifest.FILE).write_text(json.dumps({name: [0, 0]}))
  assert manifest.problems(folder) == [f"{name} is missing"]
