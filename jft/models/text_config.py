"""What makes one text encoder differ from another, whatever its family."""

import dataclasses
import reprlib
import types
from typing import Any, ClassVar, Literal, Self

from jft.errors import UserError, did_you_mean
from jft.models.activations import ACTIVATIONS
from jft.models.hf_fixed import check_fixed
from jft.typing import Mapping

POOLINGS = ("cls_pooler", "cls", "mean")
TASKS = ("classification", "tokens", "mlm")
CHOICES = types.MappingProxyType(
  {"activation": tuple(ACTIVATIONS), "pooling": POOLINGS, "task": TASKS}
)
MAX_DEPTH = 1000
MAX_SIZE = 2**24


@dataclasses.dataclass(frozen=True)
class TextConfig:
  """What makes one text encoder differ from another; the defaults are BERT's.

  Attributes:
    vocab_size: rows of the word embedding.
    width: channels of a token state; depth: blocks; heads: of the attention.
    mlp_width: channels between the two layers of a block's MLP.
    max_tokens: of the longest text that there are positions for.
    activation: of the MLP, a key of `ACTIVATIONS`; "gelu" is the exact one.
    norm_eps: added to the variance in every LayerNorm.
    dropout, attention_dropout, head_dropout: rates, of the states, of the
      attention weights and of what the head reads (None: that of the states).
    init_std: of the normal that fresh kernels and embeddings are drawn from.
    pooling: how states become `features`: "cls_pooler" is a dense and a tanh on
      the first token, "cls" the first token as it is, "mean" the mean over the
      attended tokens, as sentence-transformers has it.
    task: what `logits` are: "classification" [b k], from the features; "tokens"
      [b n k], of every token; "mlm" [b n vocab_size], the word that stood
      there, by the word embedding's own rows. The last two know no pooler:
      with them "cls_pooler" is "cls".
    normalize: scale `features` to length 1, as sentence embeddings are
      compared; the head reads them as they were before.

  Raises:
    UserError: for a value that no such encoder can have.
  """

  title: ClassVar[str] = "BERT"
  hf_fields: ClassVar[Mapping[str, str]] = types.MappingProxyType({})
  hf_fixed: ClassVar[Mapping[str, Any]] = types.MappingProxyType({})
  hf_classes: ClassVar[Mapping[str, str]] = types.MappingProxyType({})

  vocab_size: int = 30522
  width: int = 768
  depth: int = 12
  heads: int = 12
  mlp_width: int = 3072
  max_tokens: int = 512
  activation: str = "gelu"
  norm_eps: float = 1e-12
  dropout: float = 0.1
  attention_dropout: float = 0.1
  head_dropout: float | None = None
  init_std: float = 0.02
  pooling: Literal["cls_pooler", "cls", "mean"] = "cls"
  task: Literal["classification", "tokens", "mlm"] = "classification"
  normalize: bool = False

  def __post_init__(self):
    check_fields(self, CHOICES)
    check_number(f"{self.title} head_dropout", self.dropout, self.head_rate)
    if self.width % self.heads:
      raise UserError(
        f"{self.title} width {self.width} must be a multiple of heads"
        f" {self.heads}."
      )

  @property
  def head_rate(self) -> float:
    """The dropout of what the head reads."""
    return self.dropout if self.head_dropout is None else self.head_dropout

  @property
  def pooler(self) -> bool:
    """Whether there is a dense layer between the first token and `features`."""
    return self.pooling == "cls_pooler" and self.task == "classification"

  @property
  def segments(self) -> int:
    """Rows of the segments' embedding, 0 without one."""
    return 0

  @property
  def position_rows(self) -> int:
    """Rows of the positions' embedding."""
    return self.max_tokens

  @property
  def mlm_activation(self) -> str:
    """Of the layer before the words are scored, a key of `ACTIVATIONS`."""
    return self.activation

  @classmethod
  def from_hf(cls, config: Mapping[str, Any]) -> Self:
    """Returns the config that a `config.json` of transformers describes.

    What it leaves out has the default of transformers' own config. `pooling` is
    no part of it: `dataclasses.replace(config, pooling="mean")`. `task` is
    "tokens" where the file says that a token classifier was saved.

    Args:
      config: the parsed file.

    Raises:
      UserError: naming the key that asks for something jft's encoder is not.

    >>> from jft.models.bert_config import BertConfig
    >>> BertConfig.from_hf({"hidden_size": 384, "num_hidden_layers": 6}).depth
    6
    """
    check_fixed(cls.title, config, cls.hf_fixed)
    fields = fields_of(config, cls.hf_fields)
    saved = config.get("architectures")
    if isinstance(saved, list) and any(
      str(name).endswith("ForTokenClassification") for name in saved
    ):
      fields["task"] = "tokens"
    return cls(**cls.hf_adjusted(fields))

  def hf_written(self) -> dict[str, Any]:
    """Returns what the file says of this config; `hf_adjusted`'s inverse."""
    return {key: getattr(self, f) for key, f in self.hf_fields.items()}

  @classmethod
  def hf_adjusted(cls, fields: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields as this family means them, from the file's."""
    return fields


def to_hf(
  config: TextConfig, headed: bool, model_type: str = ""
) -> dict[str, Any]:
  """Returns the settings that `from_hf` reads this config from.

  Args:
    config: what transformers has no word for (`pooling`) is left out.
    headed: whether there is a head, of the config's task.
    model_type: which of the names of the family, "" for the first.

  >>> from jft.models.bert_config import BertConfig
  >>> config = BertConfig(width=384, depth=6, norm_eps=1e-6)
  >>> BertConfig.from_hf(to_hf(config, True)) == config
  True
  """
  classes = config.hf_classes
  kind = model_type if model_type in classes else next(iter(classes))
  task = _HF_TASKS[config.task] if headed else "Model"
  return {
    "model_type": kind,
    "architectures": [f"{classes[kind]}{task}"],
    **config.hf_written(),
  }


_HF_TASKS = types.MappingProxyType(
  {
    "classification": "ForSequenceClassification",
    "tokens": "ForTokenClassification",
    "mlm": "ForMaskedLM",
  }
)


def fields_of(
  config: Mapping[str, Any], names: Mapping[str, str]
) -> dict[str, Any]:
  """Returns {field: value} of the keys that are there and not null.

  Args:
    config: the parsed file.
    names: {key: field}.

  Raises:
    UserError: for an activation that jft does not have.
  """
  found = {
    field: config[key]
    for key, field in names.items()
    if config.get(key) is not None
  }
  for key, field in names.items():
    if field == "activation" and field in found:
      check_known(f"config.json: {key}", found[field], ACTIVATIONS)
  return found


def check_fields(config: Any, choices: Mapping[str, Any]) -> None:
  """Checks every field of a text model's config, one by one.

  Args:
    config: with a `title`.
    choices: {field: the names that it may have}.

  Raises:
    UserError: for a value that the field cannot have.
  """
  for field, known in choices.items():
    check_known(f"{config.title} {field}", getattr(config, field), known)
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    check_number(f"{config.title} {field.name}", field.default, value)


def check_known(what: str, value: Any, known: Any) -> None:
  """Raises a UserError if a value is none of the known names."""
  if not isinstance(value, str) or value not in known:
    raise UserError(
      f"{what} must be one of {', '.join(known)}, got {reprlib.repr(value)}."
      f"{did_you_mean(value, known) if isinstance(value, str) else ''}"
    )


def check_number(what: str, default: Any, value: Any) -> None:
  """Raises a UserError if a value is no number such as the default is one."""
  shown = reprlib.repr(value)
  if isinstance(default, bool):
    if type(value) is not bool:
      raise UserError(f"{what} must be True or False, got {shown}.")
  elif isinstance(default, int):
    most = MAX_DEPTH if what.endswith(" depth") else MAX_SIZE
    least = 0 if what.endswith(("pad_id", "window")) else 1
    if type(value) is not int or not least <= value <= most:
      raise UserError(
        f"{what} must be an integer from {least} to {most}, got {shown}."
      )
  elif isinstance(default, float):
    below = 1 if what.endswith("dropout") else 1000
    if type(value) not in (int, float) or not 0 <= value < below:
      raise UserError(f"{what} must be in [0, {below}), got {shown}.")
