"""Conversations as one text, by the chat template that came with a model."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import jinja2
import jinja2.ext
import jinja2.sandbox

from jft.data.sources.documents import Turn
from jft.errors import UserError

Span = tuple[int, int]


@dataclass(frozen=True)
class Rendered:
  """A document as the tokenizer reads it.

  Attributes:
    text: all of it.
    asked: (start, stop) of the characters that the model shall learn to write.
    special: whether the template wrote the special tokens, so that the
      tokenizer must not add its own.
  """

  text: str
  asked: tuple[Span, ...]
  special: bool

  @property
  def plain(self) -> bool:
    """Whether all of it is to be written: no conversation."""
    return self.asked == ((0, len(self.text)),)


@dataclass(frozen=True, eq=False)
class Template:
  """A compiled chat template; made by `load_template`.

  Attributes:
    render: the Jinja template.
    tokens: {"bos_token": ..., "eos_token": ...}, texts that it may write.
  """

  render: Callable[..., str]
  tokens: Mapping[str, str] = field(default_factory=dict)

  def text(self, turns: Sequence[Turn], *, answer_next: bool = False) -> str:
    """Returns the text of a conversation.

    Args:
      turns: in order.
      answer_next: end with what begins the assistant's answer.

    Raises:
      UserError: if the template refuses such a conversation.
    """
    messages = [{"role": t.role, "content": t.content} for t in turns]
    try:
      return self.render(
        messages=messages, add_generation_prompt=answer_next, **self.tokens
      )
    except (jinja2.TemplateError, TypeError, ValueError, KeyError) as error:
      roles = ", ".join(turn.role for turn in turns)
      raise UserError(
        f"the chat template refuses a conversation of {roles}: {error}."
      ) from error


def load_template(source: str, tokens: Mapping[str, str]) -> Template:
  """Compiles a chat template, in a sandbox as transformers does.

  The template sees no clock: one that writes the date of today takes the date
  that it falls back to, so that a run can be repeated tomorrow.

  Args:
    source: Jinja.
    tokens: {"bos_token": ..., "eos_token": ...}, those that there are.

  Raises:
    UserError: if it is no Jinja.

  Source: transformers, utils/chat_template_utils.py, for the environment.

  >>> form = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
  >>> load_template(form, {}).text([Turn("user", "Hi")])
  '<user>Hi'
  """
  environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
    trim_blocks=True,
    lstrip_blocks=True,
    extensions=[jinja2.ext.loopcontrols, _Generation],
  )
  environment.filters["tojson"] = _to_json
  environment.globals["raise_exception"] = _refuse
  try:
    compiled = environment.from_string(source)
  except jinja2.TemplateError as error:
    raise UserError(f"the chat template is no Jinja: {error}.") from error
  return Template(compiled.render, dict(tokens))


def rendered(example: Mapping[str, Any], template: Template | None) -> Rendered:
  """Returns a document as one text, and what of it the model shall write.

  Of a plain text that is everything; of a conversation every answer of the
  assistant with what ends it. Without a template, the turns simply follow each
  other.

  Args:
    example: of `Documents`.
    template: of the tokenizer.

  Raises:
    UserError: for a conversation that the template does not write turn by
      turn, so that nobody could say which part is the answer.
  """
  turns = example.get("turns")
  if not turns:
    text = example["text"]
    return Rendered(text, ((0, len(text)),), special=False)
  if template is None:
    return _joined(turns)
  whole = template.text(turns)
  asked = []
  for i, turn in enumerate(turns):
    if turn.role == "assistant":
      before = template.text(turns[:i], answer_next=True)
      after = template.text(turns[: i + 1])
      if not (after.startswith(before) and whole.startswith(after.rstrip())):
        raise UserError(
          "the chat template writes earlier turns in another way once there is"
          f" an answer (turn {i}), so that what the model shall write cannot be"
          " told; give another one in data.template, or data.template='none'."
        )
      # White space after the end token is never asked of a model.
      asked.append((len(before), len(after.rstrip())))
  return Rendered(whole, tuple(asked), special=True)


def prompt_of(turns: Sequence[Turn], template: Template | None) -> Rendered:
  """Returns what the model reads before it answers."""
  if template is None:
    joined = "".join(turn.content for turn in turns)
    return Rendered(joined, (), special=False)
  return Rendered(template.text(turns, answer_next=True), (), special=True)


def _joined(turns: Sequence[Turn]) -> Rendered:
  text, asked = "", []
  for turn in turns:
    start = len(text)
    text += turn.content
    if turn.role == "assistant":
      asked.append((start, len(text)))
  return Rendered(text, tuple(asked), special=False)


class _Generation(jinja2.ext.Extension):
  """Reads `{% generation %}` ... `{% endgeneration %}` as what is inside."""

  tags: ClassVar = {"generation"}

  def parse(self, parser: Any) -> Any:
    next(parser.stream)
    return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _to_json(value: Any, indent: int | None = None) -> str:
  return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> None:
  raise jinja2.TemplateError(message)
