"""BERT: jft's names to those of Hugging Face transformers."""

import types
from collections.abc import Iterable

from jft.pretrained.layouts import Entry
from jft.pretrained.names import bert_google, text
from jft.pretrained.names.text import ANCHOR, Config, Naming, dense, norm
from jft.typing import Rules

HEAD = r"(.*[./])?(classifier|cls[./]predictions)[./].*"
"""The source's head, of any task."""


def table(config: Config, names: Iterable[str] = ()) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in a source}.

  The head is always listed; a model without one has no such variables.

  Args:
    config: of the model.
    names: all names of the source, which tell how it spells them; none for
      what a task's model saves today.

  Raises:
    UserError: if the names are not those of a BERT.

  Source: transformers.BertForSequenceClassification.state_dict, and those of
    BertForTokenClassification and BertForMaskedLM.
  """
  names = list(names)
  naming = text.detect(names) if names else Naming("bert.")
  root = naming.prefix
  entries = encoder(config, naming)
  # The head stands beside the encoder, also where both are a part of more.
  beside = root.removesuffix("bert.")
  if config.task != "mlm":
    return entries | dense("head", f"{beside}classifier")
  words = f"{beside}cls.predictions"
  return (
    entries
    | dense("head/dense", f"{words}.transform.dense")
    | norm("head/norm", f"{words}.transform.LayerNorm", naming)
    | {"params/head/bias": Entry(f"{words}.bias")}
  )


def encoder(config: Config, naming: Naming) -> dict[str, Entry]:
  """Returns the entries of all but the head, for RoBERTa as well."""
  root = naming.prefix
  entries = text.embeddings(config, naming)
  for i in range(config.depth):
    entries |= _block(f"block_{i:02d}", f"{root}encoder.layer.{i}", naming)
  if config.pooler:
    entries |= dense("pooler", f"{root}pooler.dense")
  return entries


def dropped(config: Config) -> Rules:
  """Returns the rules for what the config does not need.

  Args:
    config: of the model.
  """
  next_sentence = (
    r"(.*[./])?cls[./]seq_relationship[./].*",
    "the next-sentence head of the pretraining",
  )
  words = r"(.*[./])?cls[./]predictions[./].*"
  return (next_sentence, *text.dropped(config, words))


TIED = types.MappingProxyType(
  {
    "cls.predictions.decoder.weight": f"bert.{ANCHOR}",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
  }
)
"""Copies in the masked words' head, and what each must equal."""

DIALECTS = (*text.dialects(table, dropped, HEAD, TIED), bert_google.GOOGLE)


def _block(ours: str, theirs: str, naming: Naming) -> dict[str, Entry]:
  attention = f"{theirs}.attention"
  return (
    dense(f"{ours}/attention/query", f"{attention}.self.query")
    | dense(f"{ours}/attention/key", f"{attention}.self.key")
    | dense(f"{ours}/attention/value", f"{attention}.self.value")
    | dense(f"{ours}/attention/out", f"{attention}.output.dense")
    | norm(f"{ours}/attention_norm", f"{attention}.output.LayerNorm", naming)
    | dense(f"{ours}/mlp/up", f"{theirs}.intermediate.dense")
    | dense(f"{ours}/mlp/down", f"{theirs}.output.dense")
    | norm(f"{ours}/mlp_norm", f"{theirs}.output.LayerNorm", naming)
  )
