"""Gemma 2 and 3, text: jft's names to those of transformers."""

import dataclasses
from collections.abc import Iterable

from jft.pretrained.layouts import Entry
from jft.pretrained.names import decoder, llama
from jft.pretrained.names.llama import ANCHOR, Config

_NORMS = {
  "attention_norm": "input_layernorm",
  "attention_post_norm": "post_attention_layernorm",
  "mlp_norm": "pre_feedforward_layernorm",
  "mlp_post_norm": "post_feedforward_layernorm",
}


def table(config: Config, names: Iterable[str] = ()) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in a source}.

  Args:
    config: of the model.
    names: all names of the source, which tell its prefix; none for what a
      task's model saves today.

  Raises:
    UserError: if the names are not those of such a decoder.

  Source: transformers.Gemma2ForCausalLM.state_dict, Gemma3ForCausalLM's, and
    those of their ForSequenceClassification.
  """
  root = decoder.prefix(names, ANCHOR, "model.")
  entries = llama.blocks(config, root, _NORMS)
  return entries | decoder.head(config, root.removesuffix("model."))


HF = dataclasses.replace(llama.HF, table=table)

DIALECTS = (HF,)
