"""DistilBERT: jft's names to those of Hugging Face transformers."""

import types
from collections.abc import Iterable

from jft.pretrained.layouts import Entry
from jft.pretrained.names import text
from jft.pretrained.names.text import ANCHOR, Config, Naming, dense, norm
from jft.typing import Rules

_WORDS = r"vocab_(transform|layer_norm|projector)"

HEAD = rf"(.*[./])?((pre_)?classifier|{_WORDS})[./].*"
"""The source's head, of any task."""


def table(config: Config, names: Iterable[str] = ()) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in a source}.

  The head is always listed; a model without one has no such variables.

  Args:
    config: of the model.
    names: all names of the source, which tell how it spells them; none for
      what a task's model saves today.

  Raises:
    UserError: if the names are not those of a DistilBERT.

  Source: transformers.DistilBertForSequenceClassification.state_dict, and those
    of DistilBertForTokenClassification and DistilBertForMaskedLM.
  """
  names = list(names)
  naming = text.detect(names) if names else Naming("distilbert.")
  root = naming.prefix
  entries = text.embeddings(config, naming)
  for i in range(config.depth):
    theirs = f"{root}transformer.layer.{i}"
    entries |= _block(f"block_{i:02d}", theirs, naming)
  if config.pooler:  # which no file has; `check` says so
    entries |= dense("pooler", f"{root}pooler.dense")
  beside = root.removesuffix("distilbert.")
  if config.task == "classification":
    return (
      entries
      | dense("head/dense_00", f"{beside}pre_classifier")
      | dense("head/out", f"{beside}classifier")
    )
  if config.task == "tokens":
    return entries | dense("head", f"{beside}classifier")
  return (
    entries
    | dense("head/dense", f"{beside}vocab_transform")
    | norm("head/norm", f"{beside}vocab_layer_norm", naming)
    | {"params/head/bias": Entry(f"{beside}vocab_projector.bias")}
  )


def dropped(config: Config) -> Rules:
  """Returns the rules for what the config does not need.

  Args:
    config: of the model.
  """
  return text.dropped(config, rf"(.*[./])?{_WORDS}[./].*")


TIED = types.MappingProxyType(
  {"vocab_projector.weight": f"distilbert.{ANCHOR}"}
)
"""Copies in the masked words' head, and what each must equal."""

DIALECTS = text.dialects(table, dropped, HEAD, TIED)


def _block(ours: str, theirs: str, naming: Naming) -> dict[str, Entry]:
  return (
    dense(f"{ours}/attention/query", f"{theirs}.attention.q_lin")
    | dense(f"{ours}/attention/key", f"{theirs}.attention.k_lin")
    | dense(f"{ours}/attention/value", f"{theirs}.attention.v_lin")
    | dense(f"{ours}/attention/out", f"{theirs}.attention.out_lin")
    | norm(f"{ours}/attention_norm", f"{theirs}.sa_layer_norm", naming)
    | dense(f"{ours}/mlp/up", f"{theirs}.ffn.lin1")
    | dense(f"{ours}/mlp/down", f"{theirs}.ffn.lin2")
    | norm(f"{ours}/mlp_norm", f"{theirs}.output_layer_norm", naming)
  )
