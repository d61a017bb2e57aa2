"""A Llama as llama2.c's `model.bin`, with the `tokenizer.bin` it came with."""

import dataclasses
import functools
import pathlib
import shutil

from jft import tokenizer_files
from jft.errors import UserError
from jft.exports import layouts, places, tokenizer, verify
from jft.exports.subject import Subject
from jft.exports.target import Plan
from jft.pretrained.formats import llama2c, llama2c_writer
from jft.pretrained.formats.llama2c import Header
from jft.typing import Any

WEIGHTS = "model.bin"
TOKENIZER = "tokenizer.bin"
_PROJECT = "llama2.c"


def plan(subject: Subject) -> Plan:
  """Returns how a Llama is written.

  Raises:
    UserError: for anything else, and for what the file has no place for.
  """
  family, config = layouts.family_of(subject, _PROJECT), subject.spec.config
  if family.name != "llama" or family.from_hf is None:
    raise UserError(
      f"{_PROJECT} computes Llamas, not {family.name}. --to=safetensors takes"
      " any network."
    )
  if subject.spec.head is None:
    raise UserError(
      f"{_PROJECT} scores words, this network has no head; load it with the"
      " head of its language model."
    )
  header = header_of(config)
  written = family.from_hf(llama2c.settings(header))
  places.check_kept(f"{_PROJECT}'s file", config, written)
  arrays, _ = layouts.arrays_of(subject, family, _PROJECT)
  notes = layouts.notes_of(places.unsaid(config, written), _PROJECT)
  words = tokenizer_of(subject)
  spec = dataclasses.replace(subject.spec, tokenizer=words)
  there = dataclasses.replace(subject, spec=spec)
  notes += _words_notes(subject, there)

  def write(folder: pathlib.Path) -> None:
    llama2c_writer.write(folder / WEIGHTS, arrays, header)
    if words is not None:
      shutil.copyfile(words, folder / TOKENIZER)

  compare = functools.partial(verify.folder, there)
  opens = f"./run {{}}/{WEIGHTS} -z {f'{{}}/{TOKENIZER}' if words else 'FILE'}"
  return Plan(write, compare, (opens,), notes)


def _words_notes(here: Subject, there: Subject) -> tuple[str, ...]:
  """Returns what llama2.c will read otherwise."""
  ours, theirs = here.spec.tokenizer, there.spec.tokenizer
  if theirs is None:
    return (f"no {TOKENIZER}: the source has none of {_PROJECT}'s",)
  if ours is None or ours == theirs:
    return ()
  text = tokenizer.differing(
    tokenizer.encoder_of(here), tokenizer.encoder_of(there)
  )
  if text is None:
    return ()
  return (f"{theirs.name} reads {text!r} as other tokens than {ours.name}",)


def header_of(config: Any) -> Header:
  """Returns what the file says of a Llama, as far as it can say it.

  >>> from jft.models.llama_config import LlamaConfig
  >>> header_of(LlamaConfig(vocab_size=512)).vocab_size
  512
  """
  return Header(
    version=0,
    dim=config.width,
    hidden_dim=config.mlp_width,
    n_layers=config.depth,
    n_heads=config.heads,
    n_kv_heads=config.kv_heads,
    vocab_size=config.vocab_size,
    max_seq_len=config.max_tokens,
    tied=config.tied,
  )


def tokenizer_of(subject: Subject) -> pathlib.Path | None:
  """Returns the source's own `.bin`; None with new words, which it has not."""
  file = subject.spec.tokenizer
  if file is None or subject.new_tokens:
    return None
  found = file.with_suffix(".bin")  # beside SentencePiece's, the same pieces
  known = found.is_file() and tokenizer_files.is_tokenizer(found.name)
  return found if known else None
