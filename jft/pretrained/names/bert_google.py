"""BERT: jft's names to those of Google's own TensorFlow checkpoints."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from jft.pretrained.dialect import Dialect
from jft.pretrained.layouts import Entry
from jft.pretrained.names import text
from jft.pretrained.names.text import Config
from jft.typing import Rules

_ANCHOR = "bert/embeddings/word_embeddings"


def table(config: Config, names: Iterable[str] = ()) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in a checkpoint}.

  Args:
    config: of the model.
    names: of the checkpoint; they are always spelled in one way.

  Source: google-research/bert, modeling.py, run_pretraining.py and
    run_classifier.py.
  """
  del names
  kinds = ("word", "position", "token_type")
  entries = {
    f"params/embeddings/{kind}/embedding": Entry(
      f"bert/embeddings/{kind}_embeddings"
    )
    for kind in kinds
  }
  entries |= _norm("embeddings/norm", "bert/embeddings/LayerNorm")
  for i in range(config.depth):
    entries |= _block(f"block_{i:02d}", f"bert/encoder/layer_{i}")
  if config.pooler:
    entries |= _dense("pooler", "bert/pooler/dense")
  if config.task != "mlm":
    return entries | {
      "params/head/kernel": Entry("output_weights", "dense"),
      "params/head/bias": Entry("output_bias"),
    }
  words = "cls/predictions"
  return (
    entries
    | _dense("head/dense", f"{words}/transform/dense")
    | _norm("head/norm", f"{words}/transform/LayerNorm")
    | {"params/head/bias": Entry(f"{words}/output_bias")}
  )


def dropped(config: Config) -> Rules:
  """Returns the rules for what the config does not need.

  Args:
    config: of the model.
  """
  optimizer = (r".*/adam_[mv]|output_(weights|bias)/adam_[mv]|global_step",)
  next_sentence = (r"cls/seq_relationship/.*",)
  rules = (
    (*optimizer, "of the optimizer"),
    (*next_sentence, "the next-sentence head of the pretraining"),
    *text.dropped(config, r"cls/predictions/.*"),
  )
  if config.task == "mlm":
    return (*rules, (r"output_(weights|bias)", text.NO_WORD_HEAD))
  return rules


def adjust(config: Any) -> Any:
  """Returns the config as Google's code computes: its gelu is by tanh."""
  if config.activation == "gelu":
    return dataclasses.replace(config, activation="gelu_new")
  return config


GOOGLE = Dialect(
  "google",
  fits=lambda shapes: _ANCHOR in shapes,
  table=table,
  dropped=dropped,
  head=r"output_(weights|bias)|cls/predictions/.*",
  adjust=adjust,
  check=text.check,
)


def _block(ours: str, theirs: str) -> dict[str, Entry]:
  attention = f"{theirs}/attention"
  return (
    _dense(f"{ours}/attention/query", f"{attention}/self/query")
    | _dense(f"{ours}/attention/key", f"{attention}/self/key")
    | _dense(f"{ours}/attention/value", f"{attention}/self/value")
    | _dense(f"{ours}/attention/out", f"{attention}/output/dense")
    | _norm(f"{ours}/attention_norm", f"{attention}/output/LayerNorm")
    | _dense(f"{ours}/mlp/up", f"{theirs}/intermediate/dense")
    | _dense(f"{ours}/mlp/down", f"{theirs}/output/dense")
    | _norm(f"{ours}/mlp_norm", f"{theirs}/output/LayerNorm")
  )


def _dense(ours: str, theirs: str) -> dict[str, Entry]:
  return {
    f"params/{ours}/{leaf}": Entry(f"{theirs}/{leaf}")
    for leaf in ("kernel", "bias")
  }


def _norm(ours: str, theirs: str) -> dict[str, Entry]:
  return {
    f"params/{ours}/scale": Entry(f"{theirs}/gamma"),
    f"params/{ours}/bias": Entry(f"{theirs}/beta"),
  }
