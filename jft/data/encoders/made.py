"""What every kind of tokenizer file becomes."""

from dataclasses import dataclass

import tokenizers


@dataclass(frozen=True, eq=False)
class Made:
  """A tokenizer, and what its own file says of it.

  Attributes:
    encoder: with the special tokens that it adds by itself.
    bos_id, eos_id, pad_id: of the tokens that begin and end a text and that
      fill a batch up, None where there is none.
    chat_template: jinja2 that makes a text of a conversation.
  """

  encoder: tokenizers.Tokenizer
  bos_id: int | None = None
  eos_id: int | None = None
  pad_id: int | None = None
  chat_template: str | None = None


def add_ends(
  encoder: tokenizers.Tokenizer,
  bos: str | None,
  eos: str | None = None,
) -> None:
  """Has a tokenizer begin, and end, every text with a token.

  Args:
    encoder: is changed.
    bos, eos: the tokens, in its vocabulary; None for none.
  """
  if bos is None and eos is None:
    return

  def ended(text: str) -> str:
    kind = text[-1]
    before = f"{bos}:{kind} " if bos else ""
    return f"{before}{text[:-2]}:{kind}" + (f" {eos}:{kind}" if eos else "")

  given = {token: encoder.token_to_id(token) for token in (bos, eos) if token}
  encoder.post_processor = tokenizers.processors.TemplateProcessing(
    single=ended("$A:0"),
    pair=f"{ended('$A:0')} {ended('$B:1')}",
    special_tokens=list(given.items()),
  )
