"""Texts that a decoder writes after prompts from files."""

import jax
import numpy as np

from jft import data, rng
from jft.build.documents import template_of
from jft.build.encode import make_tokenizer
from jft.data.chat import Rendered
from jft.errors import UserError
from jft.generation import generate
from jft.net import Net
from jft.sampling import Sampling
from jft.typing import Any, Mapping, Sequence

_MULTIPLE = 32
"""Prompts are padded to a multiple of so many tokens, to compile seldom."""


def complete_files(
  config: Any, net: Net, files: Sequence[str]
) -> list[dict[str, Any]]:
  """Writes on from each prompt of the files.

  Args:
    config: the run's; its sections "data" and "generate".
    net: the network, as it was tuned.
    files: see `data.prompts`.

  Returns:
    [{"input", "text", "tokens", "ended"}]: the prompt, what was written, how
    many tokens that is, and whether a stop token ended it.

  Raises:
    UserError: for a file that cannot be read, an empty prompt, or one that
      leaves no room for an answer.
  """
  c = config.data
  given = [
    turns
    for path in files
    for turns in data.prompts(
      path,
      text=c.text_column,
      messages=c.messages_column,
      prompt=c.prompt,
      system=c.system,
      header=c.header,
    )
  ]
  tokenizer = make_tokenizer(config, net.spec)
  chats = bool(given[0][-1].role)
  template = template_of(config, tokenizer) if chats else None
  ids = [_ids(tokenizer, data.prompt_of(turns, template)) for turns in given]
  size, rows = config.eval.batch_size, []
  for start in range(0, len(ids), size):
    rows += _complete(config, net, tokenizer, ids[start : start + size], start)
  return [
    {"input": turns[-1].content, **row}
    for turns, row in zip(given, rows, strict=True)
  ]


def changed(config: Any, generation: Mapping[str, Any]) -> Any:
  """Returns a run's config with other settings of what it writes.

  Args:
    config: the run's.
    generation: keys of its section "generate", or "seed".
  """
  made = config.copy_and_resolve_references()
  with made.unlocked():
    for name, value in generation.items():
      section = made if name == "seed" else made.generate
      section[name] = value
  return made


def _ids(tokenizer: data.Tokenizer, prompt: Rendered) -> np.ndarray:
  ids = tokenizer.encode_whole([prompt.text], special=not prompt.special)[0].ids
  if not prompt.special and ids and ids[-1] == tokenizer.eos_id:
    ids = ids[:-1]  # a prompt is not at its end
  return np.array(ids, np.int32)


def _complete(
  config: Any,
  net: Net,
  tokenizer: data.Tokenizer,
  ids: Sequence[np.ndarray],
  first: int,
) -> list[dict[str, Any]]:
  c = config.generate
  longest = max(map(len, ids))
  room = net.spec.config.max_tokens - c.max_new_tokens
  width = max(longest, min(-(-longest // _MULTIPLE) * _MULTIPLE, room))
  made = generate(
    net,
    {
      "input_ids": _padded(ids, width, tokenizer.pad_id),
      "attention_mask": _padded([np.ones_like(row) for row in ids], width, 0),
    },
    max_new_tokens=c.max_new_tokens,
    sampling=Sampling(c.temperature, c.top_k, c.top_p),
    stop=_stops(tokenizer, c.stop),
    pad_id=tokenizer.pad_id,
    key=jax.random.fold_in(rng.key(config.seed, "generate"), first),
  )
  tokens, lengths, ended = jax.device_get(
    (made.tokens, made.lengths, made.ended)
  )
  return [
    {
      "text": tokenizer.decode(row[: n - int(end)].tolist()),
      "tokens": int(n),
      "ended": bool(end),
    }
    for row, n, end in zip(tokens, lengths, ended, strict=True)
  ]


def _padded(rows: Sequence[np.ndarray], width: int, fill: int) -> np.ndarray:
  """Rows at the end of each line, as they are read on from."""
  out = np.full((len(rows), width), fill, np.int32)
  for line, row in zip(out, rows, strict=True):
    line[width - len(row) :] = row
  return out


def _stops(tokenizer: data.Tokenizer, words: Sequence[str]) -> list[int]:
  ids = [] if tokenizer.eos_id is None else [tokenizer.eos_id]
  for word in words:
    found = tokenizer.encoder.token_to_id(word)
    if found is None:
      raise UserError(
        f"generate.stop: {word!r} is no single token of the model's tokenizer."
      )
    ids.append(found)
  return ids
