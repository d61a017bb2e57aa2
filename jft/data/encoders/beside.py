"""What the JSON files beside a tokenizer say of it."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jft.data.encoders.made import Made
from jft.errors import UserError

CONFIG = "tokenizer_config.json"


def read(path: Path) -> dict[str, Any]:
  """Returns a JSON object, {} of a file that is not there.

  Raises:
    UserError: if it is no JSON object.
  """
  if not path.is_file():
    return {}
  try:
    found = json.loads(path.read_text(encoding="utf-8"))
  except (ValueError, RecursionError) as error:
    raise UserError(f"{path}: not JSON: {error}") from error
  if not isinstance(found, dict):
    raise UserError(f"{path}: not a JSON object.")
  return found


def completed(made: Made, folder: Path, config: Mapping[str, Any]) -> Made:
  """Returns a tokenizer with what the folder says of its special tokens.

  Args:
    made: from the tokenizer's own file.
    folder: where it lies.
    config: the folder's `tokenizer_config.json`.

  Raises:
    UserError: for a file beside it that is damaged.
  """
  ids = {
    f"{kind}_id": found
    for kind in ("bos", "eos", "pad")
    if (found := _id(made, kind, folder, config)) is not None
  }
  template = _template(folder, config) or made.chat_template
  return dataclasses.replace(made, chat_template=template, **ids)


def _id(
  made: Made, kind: str, folder: Path, config: Mapping[str, Any]
) -> int | None:
  for token in _tokens(kind, folder, config):
    if (found := made.encoder.token_to_id(token)) is not None:
      return found
  # The model's own settings have numbers; of several ends the first.
  found = read(folder / "generation_config.json").get(f"{kind}_token_id")
  found = found[0] if isinstance(found, list) and found else found
  known = (
    type(found) is int and made.encoder.id_to_token(abs(found)) is not None
  )
  return found if known and found >= 0 else None


def _tokens(
  kind: str, folder: Path, config: Mapping[str, Any]
) -> Iterator[str]:
  for facts in (config, read(folder / "special_tokens_map.json")):
    token = facts.get(f"{kind}_token")
    token = token.get("content") if isinstance(token, dict) else token
    if isinstance(token, str):
      yield token
  if kind == "pad":
    yield from ("[PAD]", "<pad>")


def _template(folder: Path, config: Mapping[str, Any]) -> str | None:
  """The chat template: of a file of its own, else of the config.

  Of several in the config, the one called "default", as in transformers.
  """
  file = folder / "chat_template.jinja"
  if file.is_file():
    try:
      return file.read_text(encoding="utf-8")
    except ValueError as error:
      raise UserError(f"{file}: not UTF-8: {error}") from error
  found = config.get("chat_template")
  if isinstance(found, list):
    named = [row for row in found if isinstance(row, dict)]
    found = next(
      (row.get("template") for row in named if row.get("name") == "default"),
      None,
    )
  return found if isinstance(found, str) else None
