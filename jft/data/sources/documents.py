"""Documents for a language model, and a file of plain text as such."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jft.data.sources.table import read_text
from jft.errors import UserError

ROLES = ("system", "user", "assistant", "tool")
_SLICE = re.compile(r"\[(\d*%?):(\d*%?)\]$")


class Turn(NamedTuple):
  """What one side of a conversation says.

  Attributes:
    role: one of `ROLES`; the model learns to be the "assistant".
    content: the text.
  """

  role: str
  content: str


@dataclass(frozen=True, eq=False)
class Documents:
  """A source of {"text"}, or of {"text", "turns"} where texts are chats.

  Where each document begins is in `files`, for messages; `skipped` names those
  that were left out, as they were asked to be.
  """

  texts: Sequence[str]
  turns: Sequence[tuple[Turn, ...]]
  name: str
  files: Sequence[str]
  skipped: tuple[str, ...] = ()
  label_names: tuple[str, ...] | None = None
  label_kind: str = "document"

  def __len__(self) -> int:
    return len(self.texts)

  def __getitem__(self, i: int) -> dict[str, Any]:
    if not self.turns:
      return {"text": self.texts[i]}
    return {"text": self.texts[i], "turns": self.turns[i]}

  def content(self, i: int) -> bytes:
    """What a document holds, to be hashed."""
    held = self.turns[i] if self.turns else self.texts[i]
    return json.dumps(held, ensure_ascii=False).encode()


def text_documents(
  path: str, *, separator: str = "", on_error: str = "error"
) -> Documents:
  """Reads a file of plain text.

  Args:
    path: a UTF-8 file, and which part of its lines: "FILE", "FILE[:90%]" or
      "FILE[1000:2000]".
    separator: what stands between two documents; the whole is one if empty.
    on_error: "skip" leaves out empty documents.

  Raises:
    UserError: for a file that cannot be read, an empty document, or a separator
      with a backslash that occurs nowhere.
  """
  file, lines = _sliced(path)
  whole = "".join(lines)
  if "\\" in separator and separator not in whole:
    raise UserError(
      f"{path}: the separator {separator!r} has a backslash and occurs nowhere;"
      " a shell writes an empty line as $'\\n\\n'."
    )
  parts = whole.split(separator) if separator else [whole]
  if separator and not parts[-1].strip():
    parts = parts[:-1]  # a separator at the end begins no document
  found = [
    (f"{path}: document {i}", [Turn("", part)]) for i, part in enumerate(parts)
  ]
  return source_of(file, found, plain=True, on_error=on_error)


def _sliced(path: str) -> tuple[Path, list[str]]:
  """Returns the file, and the lines of it that the path asks for."""
  match = _SLICE.search(path)
  file = Path(path[: match.start()] if match else path)
  lines = read_text(file).splitlines(keepends=True)
  if not match:
    return file, lines
  start, stop = (
    _line(bound, len(lines), usual)
    for bound, usual in zip(match.groups(), (0, len(lines)), strict=True)
  )
  if start >= stop:
    raise UserError(
      f"{path}: no line from {start} to {stop}; the file has {len(lines)}."
    )
  return file, lines[start:stop]


def _line(bound: str, count: int, usual: int) -> int:
  if not bound:
    return usual
  if bound.endswith("%"):
    return count * int(bound[:-1]) // 100
  return min(int(bound), count)


def source_of(
  path: Path,
  found: Sequence[tuple[str, Sequence[Turn]]],
  *,
  plain: bool,
  on_error: str,
) -> Documents:
  """Returns the documents that are whole.

  Args:
    path: where they are from.
    found: (place, turns) of each.
    plain: whether each is one text that nobody says.
    on_error: "skip" leaves out what is empty.

  Raises:
    UserError: naming the place, for an empty one; if there are none.
  """
  problems = {
    where: problem for where, turns in found if (problem := _problem(turns))
  }
  if problems and on_error != "skip":
    where, problem = next(iter(problems.items()))
    raise UserError(
      f"{where} {problem} ({len(problems)} of {len(found)} documents are so)."
      " Take it out, or set data.on_error='skip'."
    )
  kept = [(where, turns) for where, turns in found if where not in problems]
  if not kept:
    raise UserError(f"{path} holds no documents.")
  return Documents(
    ["\n".join(turn.content for turn in turns).strip("\n") for _, turns in kept]
    if not plain
    else [turns[0].content for _, turns in kept],
    [] if plain else [tuple(turns) for _, turns in kept],
    path.stem,
    [where for where, _ in kept],
    tuple(f"{where} {problem}" for where, problem in problems.items()),
  )


def _problem(turns: Sequence[Turn]) -> str:
  if len(turns) == 1 and not turns[0].role:
    return "" if turns[0].content.strip() else "is empty"
  answers = [turn for turn in turns if turn.role == "assistant"]
  if not answers:
    return "has no answer of the assistant"
  if not all(turn.content.strip() for turn in answers):
    return "has an empty answer"
  return ""
