"""Llama as Meta and llama2.c write it: short names, interleaved rotary pairs.

A row pair (2i, 2i + 1) of a query's or key's head turns together there; in
transformers and in jft it is rows i and i + half.
"""

from collections.abc import Mapping
from typing import Protocol

from jft.pretrained.dialect import Dialect, Shapes
from jft.pretrained.layouts import Entry
from jft.pretrained.names import decoder
from jft.typing import Rules

WORDS = "tok_embeddings.weight"
HEAD = r"output\.weight"


class Config(decoder.Config, Protocol):
  """The fields read here besides."""

  @property
  def heads(self) -> int: ...
  @property
  def kv_heads(self) -> int: ...


def table(config: Config, shapes: Shapes) -> Mapping[str, Entry]:
  """Returns {jft's variable name: its entry in a source}.

  Args:
    config: of the model.
    shapes: of the source; its names are always spelled in one way.

  Source: llama2.c, model.py, Transformer.
  """
  del shapes
  entries = {
    "params/embeddings/word/embedding": Entry(WORDS),
    "params/norm/scale": Entry("norm.weight"),
  }
  if config.task == "lm" and not config.tied:
    entries["params/head/kernel"] = Entry("output.weight", "dense")
  for i in range(config.depth):
    entries |= _block(config, f"params/block_{i:02d}", f"layers.{i}")
  return entries


def dropped(config: Config) -> Rules:
  """Returns the rules for what is computed and not learned.

  Args:
    config: of the model.
  """
  del config
  return ((r"rope\.freqs|freqs_(cos|sin)", "the rotary table, computed"),)


def _block(config: Config, ours: str, theirs: str) -> dict[str, Entry]:
  attention, mlp = f"{theirs}.attention", f"{theirs}.feed_forward"
  kernels = {
    "attention/query": (f"{attention}.wq", config.heads),
    "attention/key": (f"{attention}.wk", config.kv_heads),
    "attention/value": (f"{attention}.wv", 0),
    "attention/out": (f"{attention}.wo", 0),
    "mlp/gate": (f"{mlp}.w1", 0),
    "mlp/down": (f"{mlp}.w2", 0),
    "mlp/up": (f"{mlp}.w3", 0),
  }
  return {
    f"{ours}/attention_norm/scale": Entry(f"{theirs}.attention_norm.weight"),
    f"{ours}/mlp_norm/scale": Entry(f"{theirs}.ffn_norm.weight"),
  } | {
    f"{ours}/{name}/kernel": Entry(f"{source}.weight", "dense", rotary=rotary)
    for name, (source, rotary) in kernels.items()
  }


LLAMA_C = Dialect(
  "llama2.c",
  fits=lambda shapes: "layers.0.attention.wq.weight" in shapes,
  table=table,
  dropped=dropped,
  head=HEAD,
)
