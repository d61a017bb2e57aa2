"""Llama and those built like it: jft's names to those of transformers."""

from collections.abc import Iterable
from typing import Protocol

from jft.pretrained.dialect import Dialect, Shapes
from jft.pretrained.layouts import Entry
from jft.pretrained.names import decoder, decoder_gguf, llama_c

ANCHOR = "embed_tokens.weight"
"""The one name that every such decoder of transformers has."""

_ATTENTION = {"query": "q", "key": "k", "value": "v", "out": "o"}


class Config(decoder.Config, Protocol):
  """The fields read here besides."""

  @property
  def qkv_bias(self) -> bool: ...
  @property
  def out_bias(self) -> bool: ...
  @property
  def mlp_bias(self) -> bool: ...
  @property
  def qk_norm(self) -> bool: ...


def table(config: Config, names: Iterable[str] = ()) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in a source}.

  The head is always listed; a model without one has no such variables.

  Args:
    config: of the model.
    names: all names of the source, which tell its prefix; none for what a
      task's model saves today.

  Raises:
    UserError: if the names are not those of such a decoder.

  Source: transformers.LlamaForCausalLM.state_dict, and those of
    MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM and their
    ForSequenceClassification.
  """
  root = decoder.prefix(names, ANCHOR, "model.")
  norms = {"attention_norm": "input_layernorm"}
  norms |= {"mlp_norm": "post_attention_layernorm"}
  entries = blocks(config, root, norms)
  return entries | decoder.head(config, root.removesuffix("model."))


def blocks(
  config: Config, root: str, norms: dict[str, str]
) -> dict[str, Entry]:
  """Returns the entries of all but the head, for Gemma as well.

  Args:
    config: of the model.
    root: before the decoder's names.
    norms: {jft's name of a block's norm: the source's}.
  """
  entries = {"params/embeddings/word/embedding": Entry(f"{root}{ANCHOR}")}
  for i in range(config.depth):
    ours, theirs = f"block_{i:02d}", f"{root}layers.{i}"
    for name, other in norms.items():
      entries |= _scale(f"{ours}/{name}", f"{theirs}.{other}")
    entries |= _attention(config, f"{ours}/attention", f"{theirs}.self_attn")
    for name in ("gate", "up", "down"):
      entries |= _dense(
        f"{ours}/mlp/{name}", f"{theirs}.mlp.{name}_proj", config.mlp_bias
      )
  return entries | _scale("norm", f"{root}norm")


def ties(config: Config) -> dict[str, str]:
  """Returns {copy: tensor that it must equal} of tied words."""
  if config.task != "lm" or not config.tied:
    return {}
  return {"lm_head.weight": f"model.{ANCHOR}"}


def fits(shapes: Shapes) -> bool:
  """Whether a source is in the layout of transformers."""
  return any(n == ANCHOR or n.endswith("." + ANCHOR) for n in shapes)


HF = Dialect(
  "hf",
  fits=fits,
  table=table,
  dropped=decoder.dropped,
  head=decoder.HEAD,
  check=decoder.check,
  ties=ties,
)

DIALECTS = (HF, llama_c.LLAMA_C, decoder_gguf.GGUF)


def _attention(config: Config, ours: str, theirs: str) -> dict[str, Entry]:
  entries = {}
  for name, letter in _ATTENTION.items():
    bias = config.out_bias if name == "out" else config.qkv_bias
    entries |= _dense(f"{ours}/{name}", f"{theirs}.{letter}_proj", bias)
  if config.qk_norm:
    entries |= _scale(f"{ours}/query_norm", f"{theirs}.q_norm")
    entries |= _scale(f"{ours}/key_norm", f"{theirs}.k_norm")
  return entries


def _dense(ours: str, theirs: str, bias: bool) -> dict[str, Entry]:
  entries = {f"params/{ours}/kernel": Entry(f"{theirs}.weight", "dense")}
  if bias:
    entries[f"params/{ours}/bias"] = Entry(f"{theirs}.bias")
  return entries


def _scale(ours: str, theirs: str) -> dict[str, Entry]:
  return {f"params/{ours}/scale": Entry(f"{theirs}.weight")}
