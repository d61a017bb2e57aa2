"""Decoders as llama.cpp writes them down: one table for all architectures.

The names are those that `formats.gguf_file` gives: the file's own behind the
architecture. Only "llama" has its queries and keys in the interleaved order of
Meta's code, Gemma's norms hold one more than transformers', and GPT-2's query,
key and value are one tensor.

Source: llama.cpp, gguf-py/gguf/constants.py (TENSOR_NAMES) and the `permute`
and `modify_tensors` of convert_hf_to_gguf.py.
"""

import types
from collections.abc import Mapping

from jft.errors import UserError
from jft.pretrained.dialect import Dialect, Shapes
from jft.pretrained.layouts import Entry, Part
from jft.pretrained.names.llama_c import Config
from jft.typing import Rules

WORDS = "token_embd.weight"
HEAD = r"\w+/output\.(weight|bias)"

# jft's layer -> the file's.
_TOP: Mapping[str, str] = types.MappingProxyType(
  {"norm": "output_norm", "head": "output"}
)
_BLOCK: Mapping[str, str] = types.MappingProxyType(
  {
    "attention_norm": "attn_norm",
    "attention/query": "attn_q",
    "attention/key": "attn_k",
    "attention/value": "attn_v",
    "attention/out": "attn_output",
    "attention/query_norm": "attn_q_norm",
    "attention/key_norm": "attn_k_norm",
    "attention_post_norm": "post_attention_norm",
    "mlp_norm": "ffn_norm",
    "mlp/gate": "ffn_gate",
    "mlp/up": "ffn_up",
    "mlp/down": "ffn_down",
    "mlp_post_norm": "post_ffw_norm",
  }
)
_FUSED = ("attention/query", "attention/key", "attention/value")


def table(config: Config, shapes: Shapes) -> Mapping[str, Entry]:
  """Returns {jft's variable name: its entry in a source}.

  Which layers there are, with or without biases, the source's names tell; what
  the model has and the source has not is then missing here, and an error.

  Args:
    config: of the model.
    shapes: of the source.

  Raises:
    UserError: if the source's names are not of one architecture.
  """
  arch = _architecture(shapes)
  entries = {"params/embeddings/word/embedding": Entry(f"{arch}/{WORDS}")}
  if f"{arch}/position_embd.weight" in shapes:
    entries["params/embeddings/position/embedding"] = Entry(
      f"{arch}/position_embd.weight"
    )
  scored = config.task == "lm" and not config.tied
  top = _TOP if scored else {"norm": _TOP["norm"]}
  for ours, theirs in top.items():
    entries |= _layer(arch, ours, theirs, shapes)
  for i in range(config.depth):
    block, source = f"block_{i:02d}", f"blk.{i}"
    for ours, theirs in _BLOCK.items():
      entries |= _layer(
        arch,
        f"{block}/{ours}",
        f"{source}.{theirs}",
        shapes,
        rotary=_rotary(arch, config, ours),
      )
    entries |= _fused(arch, block, f"{source}.attn_qkv", shapes)
  return entries


def dropped(config: Config) -> Rules:
  """Returns the rules for what is computed and not learned.

  Args:
    config: of the model.
  """
  factors = (r"\w+/(.*\.)?rope_freqs\.weight", "the rotary table, computed")
  inverse = (r"\w+/blk\.\d+\.attn_rot_embd\.weight", factors[1])
  return (factors, inverse)


def _architecture(shapes: Shapes) -> str:
  found = {name.partition("/")[0] for name in shapes}
  if len(found) != 1:
    raise UserError(
      f"tensors of the architectures {', '.join(sorted(found))} in one GGUF."
    )
  return found.pop()


def _rotary(arch: str, config: Config, ours: str) -> int:
  heads = {
    "attention/query": config.heads,
    "attention/key": config.kv_heads,
  }
  return heads.get(ours, 0) if arch == "llama" else 0


def _layer(
  arch: str, ours: str, theirs: str, shapes: Shapes, rotary: int = 0
) -> dict[str, Entry]:
  """A norm or a dense layer, with its bias if the source has one."""
  name, bias = f"{arch}/{theirs}.weight", f"{arch}/{theirs}.bias"
  entries = {}
  if name in shapes:
    if ours.endswith("norm"):
      layout = "one_more" if arch.startswith("gemma") else "same"
      entries[f"params/{ours}/scale"] = Entry(name, layout)
    else:
      entries[f"params/{ours}/kernel"] = Entry(name, "dense", rotary=rotary)
  if bias in shapes:
    entries[f"params/{ours}/bias"] = Entry(bias, rotary=rotary)
  return entries


def _fused(
  arch: str, block: str, theirs: str, shapes: Shapes
) -> dict[str, Entry]:
  """GPT-2's three in one."""
  name, bias = f"{arch}/{theirs}.weight", f"{arch}/{theirs}.bias"
  entries = {}
  for i, ours in enumerate(_FUSED):
    if name in shapes:
      entries[f"params/{block}/{ours}/kernel"] = Entry(
        name, "dense", Part(i, 3)
      )
    if bias in shapes:
      entries[f"params/{block}/{ours}/bias"] = Entry(bias, part=Part(i, 3))
  return entries


GGUF = Dialect(
  "gguf",
  fits=lambda shapes: any(name.endswith(f"/{WORDS}") for name in shapes),
  table=table,
  dropped=dropped,
  head=HEAD,
)
