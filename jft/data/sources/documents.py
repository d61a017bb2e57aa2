"""Documents for a language model: plain texts, questions answered, chats."""

import json
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jft.data.sources.table import check_characters, read_object, read_text
from jft.errors import UserError, did_you_mean

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
  return _source(file, found, plain=True, on_error=on_error)


def json_documents(
  path: str | Path,
  *,
  text: str = "text",
  messages: str = "",
  prompt: str = "",
  response: str = "",
  system: str = "",
  on_error: str = "error",
) -> Documents:
  """Reads documents from a .json list or from JSON Lines.

  Args:
    path: a UTF-8 file.
    text: the key of a plain document.
    messages: the key of a chat, a list of {"role", "content"}.
    prompt, response: what is asked and answered, such as "{question}"; every
      "{key}" is what the object has there.
    system: a message that begins every chat that has none.
    on_error: "skip" leaves out empty documents.

  Raises:
    UserError: with file and line, for an object without these keys, or whose
      values are no texts.
  """
  path = Path(path)
  plain = not messages and not response
  found = []
  for where, row in _objects(path):
    if messages:
      turns = _chat(where, row, messages)
    elif response:
      turns = [
        Turn("user", _filled(where, prompt, row)),
        Turn("assistant", _filled(where, response, row)),
      ]
    else:
      turns = [Turn("", _text(where, row, text))]
    if system and not plain and turns[0].role != "system":
      turns = [Turn("system", system), *turns]
    found.append((where, turns))
  return _source(path, found, plain=plain, on_error=on_error)


def prompts(
  path: str | Path,
  *,
  text: str = "text",
  messages: str = "",
  prompt: str = "",
  system: str = "",
) -> list[tuple[Turn, ...]]:
  """Reads what a model shall answer, or go on from.

  Args:
    path: .json or .jsonl, objects as `json_documents` reads them, answers left
      out; of any other file each line is one prompt.
    text, messages, prompt, system: as for `json_documents`; a plain text has a
      turn without a role.

  Raises:
    UserError: for a file that cannot be read, or an empty prompt.
  """
  path, chats = Path(path), bool(messages or prompt)
  role = "user" if chats else ""
  if path.suffix not in (".json", ".jsonl"):
    rows = [
      (f"{path}:{i}", [Turn(role, line)])
      for i, line in enumerate(read_text(path).splitlines(), 1)
      if line.strip()
    ]
  else:
    rows = []
    for where, row in _objects(path):
      if messages:
        turns = _chat(where, row, messages)
        if turns[-1].role == "assistant":
          turns = turns[:-1]
      else:
        said = (
          _filled(where, prompt, row) if prompt else _text(where, row, text)
        )
        turns = [Turn(role, said)]
      rows.append((where, turns))
  for where, turns in rows:
    if not turns or not turns[-1].content.strip():
      raise UserError(f"{where}: the prompt is empty.")
  if not rows:
    raise UserError(f"{path} holds no prompt.")
  begin = [Turn("system", system)] if system and chats else []
  return [
    tuple(turns if turns[0].role == "system" else [*begin, *turns])
    for _, turns in rows
  ]


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


def _objects(path: Path) -> list[tuple[str, Mapping[str, Any]]]:
  content = read_text(path)
  if path.suffix != ".json":
    return [
      (where, read_object(where, row))
      for line, row in enumerate(content.split("\n"), 1)
      if row.strip()
      for where in (f"{path}:{line}",)
    ]
  try:
    rows = json.loads(content)
  except (ValueError, RecursionError) as error:
    raise UserError(f"{path}: not JSON: {error}") from error
  if not isinstance(rows, list):
    raise UserError(f"{path}: expected a list of objects.")
  found = []
  for i, row in enumerate(rows):
    if not isinstance(row, dict):
      raise UserError(f"{path}[{i}]: expected an object, got {str(row)[:40]}.")
    found.append((f"{path}[{i}]", row))
  return found


def _chat(where: str, row: Mapping[str, Any], key: str) -> list[Turn]:
  if key not in row:
    raise UserError(f"{where}: no {key!r}.{did_you_mean(key, row)}")
  if not isinstance(row[key], list) or not row[key]:
    raise UserError(f"{where}: {key!r} must be a list of messages.")
  turns = []
  for i, message in enumerate(row[key]):
    told = f"{where}: {key}[{i}]"
    if not isinstance(message, dict):
      raise UserError(f"{told} must be an object with role and content.")
    role = message.get("role")
    if role not in ROLES:
      raise UserError(
        f"{told} has the role {role!r}, expected one of {', '.join(ROLES)}."
      )
    turns.append(Turn(role, _text(told, message, "content")))
  return turns


def _filled(where: str, form: str, row: Mapping[str, Any]) -> str:
  """Returns the form with every "{key}" replaced; "{{" is a brace.

  White space around the whole is left out: a key may be empty.
  """
  try:
    parts = list(string.Formatter().parse(form))
  except ValueError as error:
    raise UserError(f"{form!r} is no form: {error}.") from error
  return "".join(
    literal + (_text(where, row, key) if key is not None else "")
    for literal, key, _, _ in parts
  ).strip()


def _text(where: str, row: Mapping[str, Any], key: str) -> str:
  if key not in row:
    raise UserError(f"{where}: no {key!r}.{did_you_mean(key, row)}")
  if not isinstance(row[key], str):
    raise UserError(
      f"{where}: {key!r} must be a text, got {str(row[key])[:40]!r}."
    )
  return check_characters(f"{where}: {key!r}", row[key])


def _source(
  path: Path,
  found: Sequence[tuple[str, Sequence[Turn]]],
  *,
  plain: bool,
  on_error: str,
) -> Documents:
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
