"""GPT-2's kind of tokenizer: merges over bytes, after a cut into words."""

import json
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import normalizers, pre_tokenizers

from jft import tokenizer_files
from jft.data.encoders.made import Made, add_ends
from jft.errors import UserError, did_you_mean

END_OF_TEXT = "<|endoftext|>"

# How a text is cut into words, before anything is merged.
_WORDS = (
  r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s"
  r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN, _LLAMA3 = _WORDS % "", _WORDS % "{1,3}"

# Class of transformers -> the name of its way, and its end of text.
_CLASSES: Mapping[str, str] = types.MappingProxyType(
  {"GPT2Tokenizer": "gpt2", "Qwen2Tokenizer": "qwen2"}
)
_MODEL_TYPES: Mapping[str, str] = types.MappingProxyType(
  {"gpt2": "gpt2", "qwen2": "qwen2", "qwen3": "qwen2"}
)


def build(
  vocab: Mapping[str, int], merges: Sequence[tuple[str, str]], way: str
) -> tokenizers.Tokenizer:
  """Returns a tokenizer without special tokens.

  Args:
    vocab: {token in GPT-2's letters for bytes: id}.
    merges: the first is made first.
    way: how a text is cut into words: "gpt2"; "smollm" (also every digit by
      itself), "llama3" or "qwen2".

  Source: openai/gpt-2, src/encoder.py; transformers, GPT2Tokenizer and
    Qwen2Tokenizer; llama.cpp, src/llama-vocab.cpp.
  """
  encoder = tokenizers.Tokenizer(
    tokenizers.models.BPE(
      dict(vocab), list(merges), ignore_merges=way == "llama3"
    )
  )
  plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
  words = pre_tokenizers.ByteLevel(add_prefix_space=False)
  if way == "gpt2":
    encoder.pre_tokenizer = words
  elif way == "smollm":
    digits = pre_tokenizers.Digits(individual_digits=True)
    encoder.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
  else:
    regex = tokenizers.Regex(_QWEN if way == "qwen2" else _LLAMA3)
    cut = pre_tokenizers.Split(regex, "isolated")
    encoder.pre_tokenizer = pre_tokenizers.Sequence([cut, plain])
  if way == "qwen2":
    encoder.normalizer = normalizers.NFC()
  encoder.decoder = tokenizers.decoders.ByteLevel()
  return encoder


def read(file: Path, config: Mapping[str, Any]) -> Made:
  """Reads `vocab.json` and `merges.txt`, or GPT-2's own names for them.

  Args:
    file: `vocab.json` or `encoder.json`; the merges lie beside it.
    config: the `tokenizer_config.json` beside it.

  Raises:
    UserError: if nothing says that the tokenizer is GPT-2's or Qwen's: RoBERTa
      and others have the same files and another way.
  """
  vocab = json.loads(file.read_text(encoding="utf-8"))
  other = file.parent / (tokenizer_files.PAIRS.get(file.name) or "merges.txt")
  way = _way(file, config, vocab)
  encoder = build(vocab, _merges(other), way)
  names = [config.get(f"{kind}_token") for kind in ("bos", "eos", "pad", "unk")]
  names = [n.get("content") if isinstance(n, dict) else n for n in names]
  special = {n: None for n in [*names, END_OF_TEXT] if isinstance(n, str)}
  encoder.add_special_tokens([token for token in special if token in vocab])
  end = encoder.token_to_id(END_OF_TEXT)
  if config.get("add_bos_token"):
    add_ends(encoder, names[0] or END_OF_TEXT)
  return Made(encoder, end if way == "gpt2" else None, end)


def _way(file: Path, config: Mapping[str, Any], vocab: Any) -> str:
  given = str(config.get("tokenizer_class", "")).removesuffix("Fast")
  if given:
    found, known = _CLASSES.get(given), list(_CLASSES)
  elif (model := file.parent / "config.json").is_file():
    given = str(json.loads(model.read_text("utf-8")).get("model_type"))
    found, known = _MODEL_TYPES.get(given), list(_MODEL_TYPES)
  else:  # as OpenAI published it
    own = END_OF_TEXT in vocab and "<s>" not in vocab
    found, known = ("gpt2" if own else None), [END_OF_TEXT]
  if found is None:
    raise UserError(
      f"it is not said to be one that jft builds from {file.name}: got"
      f" {given!r}, known are {', '.join(known)}.{did_you_mean(given, known)}"
      " Put its tokenizer.json there"
    )
  return found


def _merges(file: Path) -> list[tuple[str, str]]:
  lines = file.read_text(encoding="utf-8").split("\n")
  if lines[0].startswith("#version"):
    lines = lines[1:]
  found = []
  for line in lines:
    left, _, right = line.rstrip("\r").partition(" ")
    if right:
      found.append((left, right))
    elif left:
      raise UserError(f"{file.name}: {line[:40]!r} is not a pair to be merged")
  return found
