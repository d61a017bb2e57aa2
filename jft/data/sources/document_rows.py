"""Documents that are rows of JSON or CSV: texts, questions answered, chats."""

import json
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jft.data.sources.documents import ROLES, Documents, Turn, source_of
from jft.data.sources.table import (
  check_characters,
  read_fields,
  read_object,
  read_text,
)
from jft.errors import UserError, did_you_mean

Rows = Sequence[tuple[str, Mapping[str, Any]]]


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
  rows = _objects(Path(path))
  if not messages:
    return _filled_in(path, rows, text, prompt, response, system, on_error)
  found = [(where, _chat(where, row, messages)) for where, row in rows]
  told = [(where, _led(turns, system)) for where, turns in found]
  return source_of(Path(path), told, plain=False, on_error=on_error)


def csv_documents(
  path: str | Path,
  *,
  header: bool = True,
  text: str = "text",
  prompt: str = "",
  response: str = "",
  system: str = "",
  on_error: str = "error",
) -> Documents:
  """Reads documents from the rows of a CSV or TSV file.

  Args:
    path: a UTF-8 file.
    header: whether the first line names the columns; else they are "0", "1"...
    text: the column of a plain document.
    prompt, response, system, on_error: as for `json_documents`, of columns.

  Raises:
    UserError: with file and line, for what cannot be read, or a row without
      these columns.
  """
  rows = _rows(Path(path), header)
  return _filled_in(path, rows, text, prompt, response, system, on_error)


def prompts(
  path: str | Path,
  *,
  text: str = "text",
  messages: str = "",
  prompt: str = "",
  system: str = "",
  header: bool = True,
) -> list[tuple[Turn, ...]]:
  """Reads what a model shall answer, or go on from.

  Args:
    path: .json or .jsonl, objects as `json_documents` reads them, .csv or .tsv,
      as `csv_documents` does, answers left out; of any other file each line is
      one prompt.
    text, messages, prompt, system: as for `json_documents`; a plain text has a
      turn without a role.
    header: as for `csv_documents`.

  Raises:
    UserError: for a file that cannot be read, or an empty prompt.
  """
  path, chats = Path(path), bool(messages or prompt)
  role = "user" if chats else ""
  if path.suffix in (".json", ".jsonl"):
    objects = _objects(path)
  elif path.suffix in (".csv", ".tsv"):
    objects = _rows(path, header)
  else:
    objects, prompt, messages, text = _lines(path), "", "", "text"
  rows = []
  for where, row in objects:
    if messages:
      turns = _chat(where, row, messages)
      if turns[-1].role == "assistant":
        turns = turns[:-1]
    else:
      said = _filled(where, prompt, row) if prompt else _text(where, row, text)
      turns = [Turn(role, said)]
    rows.append((where, turns))
  for where, turns in rows:
    if not turns or not turns[-1].content.strip():
      raise UserError(f"{where}: the prompt is empty.")
  if not rows:
    raise UserError(f"{path} holds no prompt.")
  return [tuple(_led(turns, system if chats else "")) for _, turns in rows]


def _filled_in(
  path: str | Path,
  rows: Rows,
  text: str,
  prompt: str,
  response: str,
  system: str,
  on_error: str,
) -> Documents:
  """Returns a document for each row: its text, or a question answered."""
  if not response:
    plain = [
      (where, [Turn("", _text(where, row, text))]) for where, row in rows
    ]
    return source_of(Path(path), plain, plain=True, on_error=on_error)
  found = []
  for where, row in rows:
    turns = [
      Turn("user", _filled(where, prompt, row)),
      Turn("assistant", _filled(where, response, row)),
    ]
    found.append((where, _led(turns, system)))
  return source_of(Path(path), found, plain=False, on_error=on_error)


def _led(turns: list[Turn], system: str) -> list[Turn]:
  """Returns the turns behind a system message, unless they have one."""
  if not system or turns[0].role == "system":
    return turns
  return [Turn("system", system), *turns]


def _rows(path: Path, header: bool) -> Rows:
  rows, found = read_fields(path), []
  titles = next(rows, (0, []))[1] if header else None
  for line, fields in rows:
    names = titles or [str(i) for i in range(len(fields))]
    if len(fields) != len(names):
      raise UserError(
        f"{path}:{line}: expected {len(names)} columns, got {len(fields)};"
        " check the delimiter."
      )
    found.append((f"{path}:{line}", dict(zip(names, fields, strict=True))))
  return found


def _lines(path: Path) -> Rows:
  return [
    (f"{path}:{i}", {"text": line})
    for i, line in enumerate(read_text(path).splitlines(), 1)
    if line.strip()
  ]


def _objects(path: Path) -> Rows:
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
