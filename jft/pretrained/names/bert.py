"""BERT: jft's names to those of Hugging Face transformers."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from jft.errors import UserError
from jft.pretrained.dialect import Dialect
from jft.pretrained.layouts import Entry
from jft.typing import Rules

DROPPED: Rules = (
  (
    r"(.*\.)?embeddings\.(position_ids|token_type_ids)",
    "a constant that older releases of transformers saved",
  ),
  (
    r"(.*\.)?cls\.seq_relationship\..*",
    "the next-sentence head of the pretraining",
  ),
)
"""Tensors of the source that jft never needs, and why; see `dropped`."""

MLM_HEAD = (r"(.*\.)?cls\.predictions\..*", "the masked-word head")
CLASSIFIER = (r"(.*\.)?classifier\.(weight|bias)", "a classifier, no words")

_ANCHOR = "embeddings.word_embeddings.weight"


class Config(Protocol):
  """The fields read here; `jft.models.bert.BertConfig` has them all."""

  @property
  def depth(self) -> int: ...
  @property
  def pooling(self) -> str: ...
  @property
  def pooler(self) -> bool: ...
  @property
  def task(self) -> str: ...


class Naming(NamedTuple):
  """How one source spells its names.

  Attributes:
    prefix: before the encoder's names: "bert." in the file of a task's model,
      "" in that of a bare BertModel.
    scale, bias: of a LayerNorm; files made from TensorFlow's say "gamma" and
      "beta".
  """

  prefix: str = "bert."
  scale: str = "weight"
  bias: str = "bias"


def detect(names: Iterable[str]) -> Naming:
  """Returns how a source spells its names.

  Raises:
    UserError: if this is no BERT in the layout of transformers.

  >>> detect(["embeddings.word_embeddings.weight"])
  Naming(prefix='', scale='weight', bias='bias')
  """
  names = list(names)
  found = [n for n in names if n == _ANCHOR or n.endswith("." + _ANCHOR)]
  if len(found) != 1:
    raise UserError(
      f"the file is no BERT in the layout of transformers: {len(found)} of its"
      f" {len(names)} tensors are called [...]{_ANCHOR}, expected one. They"
      f" begin with {', '.join(names[:3])}."
    )
  prefix = found[0].removesuffix(_ANCHOR)
  if f"{prefix}embeddings.LayerNorm.gamma" in names:
    return Naming(prefix, "gamma", "beta")
  return Naming(prefix)


def table(config: Config, names: Iterable[str] = ()) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in a source}.

  The head is always listed; a model without one has no such variables.

  Args:
    config: of the model.
    names: all names of the source, which tell how it spells them; none for
      what BertForSequenceClassification saves today.

  Raises:
    UserError: if the names are not those of a BERT.

  Source: transformers.BertForSequenceClassification.state_dict.
  """
  names = list(names)
  naming = detect(names) if names else Naming()
  root = naming.prefix
  entries = {
    f"params/embeddings/{kind}/embedding": Entry(
      f"{root}embeddings.{kind}_embeddings.weight"
    )
    for kind in ("word", "position", "token_type")
  }
  entries |= _norm("embeddings/norm", f"{root}embeddings.LayerNorm", naming)
  for i in range(config.depth):
    entries |= _block(f"block_{i:02d}", f"{root}encoder.layer.{i}", naming)
  if config.pooler:
    entries |= _dense("pooler", f"{root}pooler.dense")
  # The head stands beside the encoder, also where both are a part of more.
  beside = root.removesuffix("bert.")
  if config.task != "mlm":
    return entries | _dense("head", f"{beside}classifier")
  words = f"{beside}cls.predictions"
  return (
    entries
    | _dense("head/dense", f"{words}.transform.dense")
    | _norm("head/norm", f"{words}.transform.LayerNorm", naming)
    | {"params/head/bias": Entry(f"{words}.bias")}
  )


def dropped(config: Config) -> Rules:
  """Returns `DROPPED`, the other tasks' heads and a pooler without use.

  Args:
    config: of the model.
  """
  # A new head takes the place of the task's own, by `Dialect.head`.
  rules = (*DROPPED, CLASSIFIER if config.task == "mlm" else MLM_HEAD)
  if config.pooler:
    return rules
  what = "pooling" if config.task == "classification" else "task"
  reason = f"{what} {getattr(config, what)!r} does without the pooler"
  return (*rules, (r"(.*\.)?pooler\.dense\.(weight|bias)", reason))


def check(config: Config, shapes: Iterable[str]) -> None:
  """Says what to do where the source has no pooler.

  Raises:
    UserError: if the config asks for one.
  """
  if config.pooler and not any(
    name.endswith("pooler.dense.weight") for name in shapes
  ):
    raise UserError(
      "the source has no pooler, as after a training of masked words or of"
      ' tokens; load it with pooling="mean" or "cls".'
    )


def ties(config: Config) -> dict[str, str]:
  """Returns {copy: tensor that it must equal} of the masked words' head."""
  if config.task != "mlm":
    return {}
  return {
    "cls.predictions.decoder.weight": f"bert.{_ANCHOR}",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
  }


HF = Dialect(
  "hf",
  fits=lambda shapes: any(name.endswith(_ANCHOR) for name in shapes),
  table=table,
  dropped=dropped,
  head=r"(.*\.)?(classifier|cls\.predictions)\..*",
  check=check,
  ties=ties,
)

DIALECTS = (HF,)


def _block(ours: str, theirs: str, naming: Naming) -> dict[str, Entry]:
  attention = f"{theirs}.attention"
  return (
    _dense(f"{ours}/attention/query", f"{attention}.self.query")
    | _dense(f"{ours}/attention/key", f"{attention}.self.key")
    | _dense(f"{ours}/attention/value", f"{attention}.self.value")
    | _dense(f"{ours}/attention/out", f"{attention}.output.dense")
    | _norm(f"{ours}/attention_norm", f"{attention}.output.LayerNorm", naming)
    | _dense(f"{ours}/mlp/up", f"{theirs}.intermediate.dense")
    | _dense(f"{ours}/mlp/down", f"{theirs}.output.dense")
    | _norm(f"{ours}/mlp_norm", f"{theirs}.output.LayerNorm", naming)
  )


def _dense(ours: str, theirs: str) -> dict[str, Entry]:
  return {
    f"params/{ours}/kernel": Entry(f"{theirs}.weight", "dense"),
    f"params/{ours}/bias": Entry(f"{theirs}.bias"),
  }


def _norm(ours: str, theirs: str, naming: Naming) -> dict[str, Entry]:
  return {
    f"params/{ours}/scale": Entry(f"{theirs}.{naming.scale}"),
    f"params/{ours}/bias": Entry(f"{theirs}.{naming.bias}"),
  }
