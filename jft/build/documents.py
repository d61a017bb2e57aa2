"""Config -> documents as rows of tokens, and the template of conversations."""

import dataclasses
import pathlib

import numpy as np

from jft import data
from jft.data.source import origin
from jft.errors import UserError
from jft.spec import Spec
from jft.typing import Any


def rows_of(
  config: Any, source: data.Source, tokenizer: data.Tokenizer, spec: Spec
) -> data.TokenRows:
  """Returns a split's documents as the network reads them.

  Raises:
    UserError: for a chat without a template, a tokenizer that is not the
      model's, or rows longer than it can read.
  """
  c = config.data
  if spec.max_tokens and c.max_length > spec.max_tokens:
    raise UserError(
      f"data.max_length={c.max_length}: the model reads {spec.max_tokens}"
      " tokens at most."
    )
  if config.task.name == "masked_lm":
    masking = data.make_masking(
      tokenizer, config.task.mask_probability, config.seed
    )
    rows = data.masked_rows(source, tokenizer, masking)
  else:
    rows = _next_tokens(config, source, tokenizer)
  most = max(int(np.max(row.ids, initial=0)) for row in rows.rows)
  if most >= spec.config.vocab_size:
    word = tokenizer.encoder.id_to_token(most)
    raise UserError(
      f"{source.name}: the tokenizer gives the id {most} ({word!r}), and the"
      f" model has {spec.config.vocab_size} words: they do not belong together."
    )
  return rows


def _next_tokens(
  config: Any, source: data.Source, tokenizer: data.Tokenizer
) -> data.TokenRows:
  template = None
  if "turns" in origin(source, 0)[0][0]:
    template = template_of(config, tokenizer)
  return data.token_rows(
    source, tokenizer, template=template, packing=config.data.packing
  )


def template_of(config: Any, tokenizer: data.Tokenizer) -> data.Template | None:
  """Returns what a run writes its conversations with; None joins the turns.

  Raises:
    UserError: if the tokenizer has none and nobody says what to do, or the
      file that was given cannot be read.
  """
  given = config.data.template
  if given == "none":
    return None
  source = tokenizer.chat_template
  if given != "auto":
    try:
      source = pathlib.Path(given).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
      raise UserError(
        f"data.template={given!r}: no readable file ({error})."
      ) from error
  if source is None:
    raise UserError(
      "the tokenizer has no chat template: give one in data.template (a .jinja"
      " file), or 'none' to have prompt and answer simply follow each other."
    )
  names = {"bos_token": tokenizer.bos_id, "eos_token": tokenizer.eos_id}
  tokens = {
    name: text
    for name, i in names.items()
    if i is not None and (text := tokenizer.encoder.id_to_token(i))
  }
  return data.load_template(source, tokens)


def with_end(tokenizer: data.Tokenizer, eos_token: str) -> data.Tokenizer:
  """Returns the tokenizer with another end token, where one is given.

  Raises:
    UserError: if it is none of its tokens.
  """
  if not eos_token:
    return tokenizer
  found = tokenizer.encoder.token_to_id(eos_token)
  if found is None:
    raise UserError(
      f"data.eos_token={eos_token!r} is no token of the model's tokenizer."
    )
  return dataclasses.replace(tokenizer, eos_id=found)
