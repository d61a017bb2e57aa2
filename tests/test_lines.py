"""Files of JSON lines: whole lines or none."""

import errno

import pytest

from jft import lines
from jft.errors import UserError


def write(path, *rows):
  file = lines.Lines(path)
  for row in rows:
    file.write(row)
  file.sync()
  file.close()


def test_lines_are_appended_and_read(tmp_path):
  path = tmp_path / "x.jsonl"
  write(path, {"step": 1})
  write(path, {"step": 2, "text": "ü\n"})
  assert lines.read(path) == [{"step": 1}, {"step": 2, "text": "ü\n"}]


@pytest.mark.parametrize("torn", [b'{"step": 2', b"\0\0\0\0", b"{"])
def test_a_torn_line_is_left_out_and_cut_off(tmp_path, torn):
  path = tmp_path / "x.jsonl"
  write(path, {"step": 1})
  with path.open("ab") as file:
    file.write(torn)
  assert lines.read(path) == [{"step": 1}]
  write(path, {"step": 3})
  assert lines.read(path) == [{"step": 1}, {"step": 3}]


@pytest.mark.parametrize(
  "line", [b"[]", b"{}", b'{"step": "1"}', b'{"step": true}', b"x", b"[" * 9999]
)
def test_a_damaged_line_is_named(tmp_path, line):
  path = tmp_path / "x.jsonl"
  path.write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 2}\n')
  with pytest.raises(UserError, match=r"line 2 of .*x\.jsonl is damaged"):
    lines.read(path)


def test_no_such_file(tmp_path):
  with pytest.raises(UserError, match="Is this the workdir"):
    lines.read(tmp_path / "x.jsonl")


def test_half_a_line_on_a_full_disk_is_an_error(tmp_path, monkeypatch):
  path = tmp_path / "x.jsonl"
  file = lines.Lines(path)
  real = file._file
  monkeypatch.setattr(
    file, "_file", type("F", (), {"name": "x", "write": lambda _, b: 3})()
  )
  with pytest.raises(OSError) as error:
    file.write({"step": 1})
  assert error.value.errno == errno.ENOSPC
  real.close()
