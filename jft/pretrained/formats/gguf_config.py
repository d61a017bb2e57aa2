"""GGUF's settings in the spelling of transformers' config.json.

A setting that is not known here is an error: it may change what is computed.

Source: llama.cpp, convert_hf_to_gguf.py, gguf-py/gguf/constants.py (Keys) and
src/llama-model.cpp (load_hparams).
"""

import math
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jft import gguf_header
from jft.errors import UserError, did_you_mean
from jft.gguf_header import Header
from jft.pretrained.formats import gguf_file

ROPE_FACTORS = "rope_freqs.weight"

_COMMON: Mapping[str, str] = types.MappingProxyType(
  {
    "context_length": "max_position_embeddings",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "embedding_length": "hidden_size",
    "rope.freq_base": "rope_theta",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "attention.key_length": "head_dim",
    "attention.sliding_window": "sliding_window",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
  }
)
_GPT2: Mapping[str, str] = types.MappingProxyType(
  {
    "context_length": "n_positions",
    "block_count": "n_layer",
    "feed_forward_length": "n_inner",
    "embedding_length": "n_embd",
    "attention.head_count": "n_head",
    "attention.layer_norm_epsilon": "layer_norm_epsilon",
  }
)
# Of these the names table or the checks below know, or nothing depends on them.
_SEEN = ("vocab_size", "rope.dimension_count", "attention.value_length")
_SEEN += ("rope.scaling.type", "rope.scaling.factor", "rope.scaling.finetuned")
_SEEN += ("rope.scaling.original_context_length",)
_REQUIRED = ("context_length", "block_count", "feed_forward_length")
_REQUIRED += ("embedding_length", "attention.head_count")


def config(path: str | Path) -> dict[str, Any]:
  """Returns the settings of a GGUF file as transformers spells them.

  Args:
    path: as for `gguf_file.read`.

  Raises:
    UserError: if the file is damaged, or for an architecture or a setting that
      is not known.
  """
  path = Path(path)
  header = gguf_header.read(path)
  name = str(header.metadata.get(gguf_file.ARCHITECTURE))
  if name not in _ARCHITECTURES:
    raise UserError(
      f"{path}: GGUF of the architecture {name[:80]!r}, jft reads"
      f" {', '.join(_ARCHITECTURES)}.{did_you_mean(name, _ARCHITECTURES)}"
    )
  spelling, special = _ARCHITECTURES[name]
  own = _own(path, header, name, spelling)
  found = {
    theirs: own[key] for key, theirs in spelling.items() if key in own
  } | _tokens(header)
  words = header.tensors.get("token_embd.weight")
  if words is None or len(words.shape) != 2:
    raise UserError(f"{path}: GGUF without a matrix token_embd.weight.")
  found["vocab_size"] = words.shape[0]
  found["tie_word_embeddings"] = "output.weight" not in header.tensors
  return found | special(path, header, own)


def _own(
  path: Path, header: Header, name: str, spelling: Mapping[str, str]
) -> dict[str, Any]:
  """The architecture's own settings, all of them known, as plain numbers."""
  own = {}
  for key, value in header.metadata.items():
    if not key.startswith(f"{name}."):
      continue
    key = key.removeprefix(f"{name}.")
    if key not in spelling and key not in _SEEN:
      raise UserError(
        f"{path}: the setting {name}.{key} = {str(value)[:60]} is not known to"
        " jft, and may change what the model computes."
      )
    own[key] = _plain(path, f"{name}.{key}", value)
  for key in _REQUIRED:
    if type(own.get(key)) is not int or own[key] < 1:
      raise UserError(
        f"{path}: expected a number above 0 for the setting {name}.{key}, got"
        f" {str(own.get(key))[:60]}."
      )
  return own


def _plain(path: Path, key: str, value: Any) -> Any:
  """One number or text; a list of equal ones, one for each block, is one."""
  if isinstance(value, np.ndarray):
    if len({*value.tolist()}) != 1:
      raise UserError(
        f"{path}: {key} differs from block to block ({value.tolist()[:8]});"
        " jft's blocks are alike."
      )
    value = value.tolist()[0]
  wanted = str if key.endswith(".type") else int | float
  if not isinstance(value, wanted) or value != value:
    raise UserError(f"{path}: {key} is {str(value)[:60]!r}.")
  if isinstance(value, float):
    return float(str(np.float32(value)))  # 1e-05, not 9.99999974e-06
  return value


def _tokens(header: Header) -> dict[str, Any]:
  pairs = (("bos", "bos"), ("eos", "eos"), ("padding", "pad"))
  return {
    f"{ours}_token_id": header.metadata[key]
    for theirs, ours in pairs
    if (key := f"tokenizer.ggml.{theirs}_token_id") in header.metadata
  }


def _head_width(path: Path, own: Mapping[str, Any]) -> int:
  """The width of a head; what else depends on it must agree."""
  width = own.get("attention.key_length") or (
    own["embedding_length"] // own["attention.head_count"]
  )
  for key in ("rope.dimension_count", "attention.value_length"):
    if own.get(key, width) != width:
      raise UserError(
        f"{path}: {key} is {own[key]}, the heads are {width} wide; jft has no"
        " such model."
      )
  return width


def _llama(path: Path, header: Header, own: Mapping[str, Any]) -> dict:
  """Llama, and Mistral, which llama.cpp calls llama too."""
  windowed = own.get("attention.sliding_window")
  width = _head_width(path, own)
  layers = {"attention_bias": "attn_q", "mlp_bias": "ffn_up"}
  return {
    "model_type": "mistral" if windowed else "llama",
    "architectures": [f"{'Mistral' if windowed else 'Llama'}ForCausalLM"],
    "hidden_act": "silu",
    "head_dim": width,
    "rope_theta": own.get("rope.freq_base", 10_000.0),
    "rope_scaling": _scaling(path, header, own, width),
    **{k: f"blk.0.{v}.bias" in header.tensors for k, v in layers.items()},
  }


def _qwen(path: Path, header: Header, own: Mapping[str, Any]) -> dict:
  kind = header.metadata[gguf_file.ARCHITECTURE]
  width = _head_width(path, own)
  return {
    "model_type": kind,
    "architectures": [f"{kind.title()}ForCausalLM"],
    "hidden_act": "silu",
    **({"head_dim": width} if kind == "qwen3" else {}),
    "rope_theta": own.get("rope.freq_base", 10_000.0),
    "rope_scaling": _scaling(path, header, own, width),
  }


def _gemma(path: Path, header: Header, own: Mapping[str, Any]) -> dict:
  """Gemma 2 and 3; what llama.cpp knows by the number of blocks, so here."""
  kind = header.metadata[gguf_file.ARCHITECTURE]
  depth, width = own["block_count"], _head_width(path, own)
  biggest, every = (62, 6) if kind == "gemma3" else (46, 2)
  layers = ("sliding_attention",) * (every - 1) + ("full_attention",)
  scalar = own["embedding_length"] // own["attention.head_count"]
  found = {
    "model_type": "gemma3_text" if kind == "gemma3" else "gemma2",
    "architectures": [f"{kind.title()}ForCausalLM"],
    "hidden_activation": "gelu_pytorch_tanh",
    "head_dim": width,
    "query_pre_attn_scalar": scalar if depth == biggest else width,
    "layer_types": [layers[i % every] for i in range(min(depth, 10_000))],
  }
  if kind == "gemma2":
    soft = {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}
    base = {"rope_theta": 10_000.0, "sliding_window": 4096}
    return soft | base | {k: own[k] for k in soft if k in own} | found
  return found | {
    "rope_theta": own.get("rope.freq_base", 1_000_000.0),
    "rope_local_base_freq": 10_000.0,
    "rope_scaling": _scaling(path, header, own, width),
  }


def _gpt2(path: Path, header: Header, own: Mapping[str, Any]) -> dict:
  del path, header, own
  return {
    "model_type": "gpt2",
    "architectures": ["GPT2LMHeadModel"],
    "activation_function": "gelu_new",
  }


def _scaling(
  path: Path, header: Header, own: Mapping[str, Any], width: int
) -> dict[str, Any] | None:
  """The rotary embedding's stretching, said in settings or in a tensor."""
  kind = own.get("rope.scaling.type", "none")
  factor = own.get("rope.scaling.factor", 1.0)
  if ROPE_FACTORS in header.tensors:
    return _llama3(path, header, own.get("rope.freq_base", 10_000.0), width)
  if kind in ("none", "") or (kind == "linear" and factor in (0, 1)):
    return None
  if kind != "linear":
    raise UserError(
      f"{path}: rotary scaling {kind!r} comes without all of its settings in a"
      " GGUF; load the model from its original files."
    )
  return {"rope_type": "linear", "factor": factor}


def _llama3(
  path: Path, header: Header, theta: float, width: int
) -> dict[str, Any] | None:
  """Llama 3's stretching, of which a GGUF holds the outcome alone.

  Its settings but the factor are the same in all that Meta published; what they
  give must be what the tensor holds.
  """
  got = gguf_file.load(path, header, ROPE_FACTORS).astype(np.float64)
  if got.shape != (width // 2,) or not (got >= 1).all() or not theta > 0:
    raise UserError(
      f"{path}: {ROPE_FACTORS} {got.shape} is damaged: expected {width // 2}"
      f" values of 1 or more, with a base {theta} above 0."
    )
  if np.all(got == 1):
    return None
  factor = float(got.max())
  found = {
    "rope_type": "llama3",
    "factor": factor,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
  }
  turns = 8192 * theta ** -(2 * np.arange(width // 2) / width) / (2 * math.pi)
  smooth = np.clip((turns - 1.0) / (4.0 - 1.0), 0, 1)
  want = 1 / ((1 - smooth) / factor + smooth)
  if not np.allclose(got, want, rtol=1e-3):
    raise UserError(
      f"{path}: {ROPE_FACTORS} is not Llama 3's (factor {factor:g}, 1, 4,"
      " 8192); load the model from its original files."
    )
  return found


_Special = Callable[[Path, Header, Mapping[str, Any]], dict]
_ARCHITECTURES: Mapping[str, tuple[Mapping[str, str], _Special]] = (
  types.MappingProxyType(
    {
      "llama": (_COMMON, _llama),
      "qwen2": (_COMMON, _qwen),
      "qwen3": (_COMMON, _qwen),
      "gemma2": (_COMMON, _gemma),
      "gemma3": (_COMMON, _gemma),
      "gpt2": (_GPT2, _gpt2),
    }
  )
)
