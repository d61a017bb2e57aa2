"""Files of JSON lines that survive a kill: appended, torn ends cut off."""

import errno
import json
import os
import pathlib
from typing import Any

from jft.errors import UserError
from jft.typing import Mapping


class Lines:
  """A file that grows by whole lines, one unbuffered write each.

  A reader sees whole lines; a kill tears one at most, and opening the file
  again cuts that one off.

  Args:
    path: made if it is missing; its folder must exist.
  """

  def __init__(self, path: pathlib.Path):
    _cut_torn_line(path)
    self._file = path.open("ab", buffering=0)

  def write(self, row: Mapping[str, Any]) -> None:
    """Appends one line.

    Args:
      row: what `json.dumps` takes.
    """
    text = f"{json.dumps(row, ensure_ascii=False)}\n"
    # Half a surrogate pair (a file name that is no UTF-8) is JSON's "\udcff".
    line = text.encode(errors="backslashreplace")
    if self._file.write(line) < len(line):
      # A full disk took a part: the next write would end that line.
      raise OSError(errno.ENOSPC, "No space left on device", self._file.name)

  def sync(self) -> None:
    """Waits until all that was written is on the disk itself."""
    os.fsync(self._file.fileno())

  def close(self) -> None:
    """Closes the file; may be called twice."""
    self._file.close()


def read(path: pathlib.Path) -> list[dict[str, Any]]:
  """Returns the lines of a file as dicts; a torn last line is left out.

  Raises:
    UserError: if there is no such file, or another line is no JSON object with
      a whole number "step".
  """
  try:
    *rows, _ = path.read_bytes().split(b"\n")
  except OSError as error:
    raise UserError(
      f"cannot read {path}: {error.strerror}. Is this the workdir of a run?"
    ) from error
  return [_row(path, i, row) for i, row in enumerate(rows, 1)]


def _row(path: pathlib.Path, number: int, line: bytes) -> dict[str, Any]:
  try:
    row = json.loads(line)
    if not isinstance(row, dict) or type(row["step"]) is not int:
      raise ValueError("no object with a step")
  except (ValueError, KeyError, RecursionError) as error:
    raise UserError(
      f"line {number} of {path} is damaged ({error}); delete that line."
    ) from error
  return row


def _cut_torn_line(path: pathlib.Path) -> None:
  if path.exists():
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
      os.truncate(path, whole)
