"""The tokenizer inside a GGUF file.

Source: llama.cpp, gguf-py/gguf/constants.py (Keys.Tokenizer) and
src/llama-vocab.cpp, for how texts are cut and for what is added by default.
"""

import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from tokenizers import AddedToken

from jft import gguf_header
from jft.data.encoders import byte_bpe, piece_bpe
from jft.data.encoders.made import Made, add_ends
from jft.data.encoders.piece_bpe import Kind, Piece
from jft.errors import UserError, did_you_mean

# `tokenizer.ggml.pre` -> `byte_bpe.build`'s way, and whether a text begins with
# the token of that name where the file does not say.
_WAYS: Mapping[str, tuple[str, bool]] = types.MappingProxyType(
  {
    "gpt-2": ("gpt2", False),
    "gpt2": ("gpt2", False),
    "smollm": ("smollm", False),
    "llama-bpe": ("llama3", True),
    "llama3": ("llama3", True),
    "llama-v3": ("llama3", True),
    "qwen2": ("qwen2", False),
  }
)


def read(file: Path) -> Made:
  """Reads the tokenizer of a `.gguf`.

  Args:
    file: any that holds one.

  Raises:
    UserError: if there is none, or it is of a kind that is not known.
  """
  facts = _facts(gguf_header.read(file).metadata)
  tokens = facts.get("ggml.tokens")
  if not isinstance(tokens, list) or not tokens:
    raise UserError("it holds no tokenizer (tokenizer.ggml.tokens)")
  kinds = _numbers(facts, "token_type", len(tokens), Kind.NORMAL)
  make = {"gpt2": _bytes, "llama": _pieces}.get(facts.get("ggml.model", ""))
  if make is None:
    raise UserError(
      f"its tokenizer is of the kind {str(facts.get('ggml.model'))[:40]!r}, jft"
      " reads gpt2 and llama; put its tokenizer.json beside it"
    )
  encoder, begins = make(facts, tokens, kinds)
  bos, eos, pad = (
    _token(facts, kind, tokens) for kind in ("bos", "eos", "padding")
  )
  if facts.get("ggml.add_bos_token", begins) and bos is None:
    raise UserError("it wants a token before each text and does not say which")
  add_ends(
    encoder,
    bos if facts.get("ggml.add_bos_token", begins) else None,
    eos if facts.get("ggml.add_eos_token", False) else None,
  )
  ids = (encoder.token_to_id(t) if t else None for t in (bos, eos, pad))
  template = facts.get("chat_template")
  return Made(encoder, *ids, template if isinstance(template, str) else None)


def _facts(metadata: Mapping[str, Any]) -> dict[str, Any]:
  return {
    key.removeprefix("tokenizer."): value
    for key, value in metadata.items()
    if key.startswith("tokenizer.")
  }


def _numbers(
  facts: Mapping[str, Any], name: str, count: int, usual: float
) -> Sequence[Any]:
  found = facts.get(f"ggml.{name}")
  if found is None:
    return [usual] * count
  if not isinstance(found, np.ndarray) or found.shape != (count,):
    raise UserError(f"tokenizer.ggml.{name} has not one number for each token")
  return found.tolist()


def _token(
  facts: Mapping[str, Any], kind: str, tokens: Sequence[str]
) -> str | None:
  found = facts.get(f"ggml.{kind}_token_id")
  if found is None:
    return None
  if type(found) is not int or not 0 <= found < len(tokens):
    raise UserError(
      f"tokenizer.ggml.{kind}_token_id is {found}, of {len(tokens)} tokens"
    )
  return tokens[found]


def _bytes(
  facts: Mapping[str, Any], tokens: Sequence[str], kinds: Sequence[int]
) -> tuple[tokenizers.Tokenizer, bool]:
  pre = str(facts.get("ggml.pre", "not given"))
  if pre not in _WAYS:
    raise UserError(
      f"its texts are cut in the way {pre[:40]!r}, jft knows"
      f" {', '.join(_WAYS)}.{did_you_mean(pre, _WAYS)} Put its tokenizer.json"
      " beside it"
    )
  way, begins = _WAYS[pre]
  vocab = {token: i for i, token in enumerate(tokens)}
  if len(vocab) != len(tokens):
    raise UserError("a token comes twice")
  merges = []
  for row in facts.get("ggml.merges", []):
    left, _, right = str(row).partition(" ")
    merges.append((left, right))
  encoder = byte_bpe.build(vocab, merges, way)
  pairs = list(zip(tokens, kinds, strict=True))
  encoder.add_special_tokens([t for t, kind in pairs if kind == Kind.CONTROL])
  encoder.add_tokens(
    [AddedToken(t, normalized=False) for t, kind in pairs if kind == Kind.USER]
  )
  return encoder, begins


def _pieces(
  facts: Mapping[str, Any], tokens: Sequence[str], kinds: Sequence[int]
) -> tuple[tokenizers.Tokenizer, bool]:
  scores = _numbers(facts, "scores", len(tokens), 0.0)
  pieces = [Piece(*row) for row in zip(tokens, scores, kinds, strict=True)]
  prefix = facts.get("ggml.add_space_prefix", True)
  squeeze = facts.get("ggml.remove_extra_whitespaces", False)
  made = piece_bpe.build(pieces, prefix=bool(prefix), squeeze=bool(squeeze))
  return made, True
