"""RoBERTa and XLM-R: jft's names to those of Hugging Face transformers."""

import types
from collections.abc import Iterable

from jft.pretrained.layouts import Entry
from jft.pretrained.names import bert, text
from jft.pretrained.names.text import ANCHOR, Config, Naming, dense, norm
from jft.typing import Rules

HEAD = r"(.*[./])?(classifier|lm_head)[./].*"
"""The source's head, of any task."""


def table(config: Config, names: Iterable[str] = ()) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in a source}.

  The head is always listed; a model without one has no such variables.

  Args:
    config: of the model.
    names: all names of the source, which tell how it spells them; none for
      what a task's model saves today.

  Raises:
    UserError: if the names are not those of a RoBERTa.

  Source: transformers.RobertaForSequenceClassification.state_dict, and those
    of RobertaForTokenClassification and RobertaForMaskedLM.
  """
  names = list(names)
  naming = text.detect(names) if names else Naming("roberta.")
  entries = bert.encoder(config, naming)
  beside = naming.prefix.removesuffix("roberta.")
  if config.task == "classification":
    return (
      entries
      | dense("head/dense_00", f"{beside}classifier.dense")
      | dense("head/out", f"{beside}classifier.out_proj")
    )
  if config.task == "tokens":
    return entries | dense("head", f"{beside}classifier")
  return (
    entries
    | dense("head/dense", f"{beside}lm_head.dense")
    | norm("head/norm", f"{beside}lm_head.layer_norm", naming)
    | {"params/head/bias": Entry(f"{beside}lm_head.bias")}
  )


def dropped(config: Config) -> Rules:
  """Returns the rules for what the config does not need.

  Args:
    config: of the model.
  """
  return text.dropped(config, r"(.*[./])?lm_head[./].*")


TIED = types.MappingProxyType(
  {
    "lm_head.decoder.weight": f"roberta.{ANCHOR}",
    "lm_head.decoder.bias": "lm_head.bias",
  }
)
"""Copies in the masked words' head, and what each must equal."""

DIALECTS = text.dialects(table, dropped, HEAD, TIED)
