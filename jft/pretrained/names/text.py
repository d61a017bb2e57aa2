"""What the name tables of all text encoders share."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from jft.errors import UserError
from jft.pretrained.dialect import Dialect, Shapes
from jft.pretrained.layouts import Entry
from jft.typing import Any, Callable, Mapping, Rules

ANCHOR = "embeddings.word_embeddings.weight"
"""The one name that every text encoder of transformers has."""

CONSTANTS = (
  r"(.*[./])?embeddings[./](position_ids|token_type_ids)",
  "a constant that older releases of transformers saved",
)
POOLER = r"(.*[./])?pooler[./]dense[./](weight|kernel|bias)"
CLASSIFIER = r"(.*[./])?(pre_)?classifier[./].*"
WORD_HEAD = "the masked-word head"
NO_WORD_HEAD = "a classifier: the task is masked words"


class Config(Protocol):
  """The fields read here; every config of a text encoder has them."""

  @property
  def depth(self) -> int: ...
  @property
  def pooling(self) -> str: ...
  @property
  def pooler(self) -> bool: ...
  @property
  def task(self) -> str: ...
  @property
  def segments(self) -> int: ...


class Naming(NamedTuple):
  """How one source spells its names.

  Attributes:
    prefix: before the encoder's names: "bert." in the file of a task's model,
      "" in that of a bare BertModel.
    scale, bias: of a LayerNorm; files made from TensorFlow's say "gamma" and
      "beta".
  """

  prefix: str
  scale: str = "weight"
  bias: str = "bias"


def detect(names: Iterable[str]) -> Naming:
  """Returns how a source spells its names.

  Raises:
    UserError: if this is no text encoder in the layout of transformers.

  >>> detect(["embeddings.word_embeddings.weight"])
  Naming(prefix='', scale='weight', bias='bias')
  """
  names = list(names)
  found = [n for n in names if n == ANCHOR or n.endswith("." + ANCHOR)]
  if len(found) != 1:
    raise UserError(
      "the file is no text encoder in the layout of transformers:"
      f" {len(found)} of its {len(names)} tensors are called [...]{ANCHOR},"
      f" expected one. They begin with {', '.join(names[:3])}."
    )
  prefix = found[0].removesuffix(ANCHOR)
  if f"{prefix}embeddings.LayerNorm.gamma" in names:
    return Naming(prefix, "gamma", "beta")
  return Naming(prefix)


def embeddings(config: Config, naming: Naming) -> dict[str, Entry]:
  """Returns the entries of the embeddings and of their norm."""
  kinds = ("word", "position", *(["token_type"] if config.segments else []))
  root = f"{naming.prefix}embeddings"
  entries = {
    f"params/embeddings/{kind}/embedding": Entry(
      f"{root}.{kind}_embeddings.weight"
    )
    for kind in kinds
  }
  return entries | norm("embeddings/norm", f"{root}.LayerNorm", naming)


def dense(ours: str, theirs: str) -> dict[str, Entry]:
  """Returns the entries of a dense layer."""
  return {
    f"params/{ours}/kernel": Entry(f"{theirs}.weight", "dense"),
    f"params/{ours}/bias": Entry(f"{theirs}.bias"),
  }


def norm(ours: str, theirs: str, naming: Naming) -> dict[str, Entry]:
  """Returns the entries of a LayerNorm."""
  return {
    f"params/{ours}/scale": Entry(f"{theirs}.{naming.scale}"),
    f"params/{ours}/bias": Entry(f"{theirs}.{naming.bias}"),
  }


def dropped(config: Config, word_head: str) -> Rules:
  """Returns what a config never needs: other tasks' heads, unused poolers.

  Args:
    config: of the model.
    word_head: a regex over the source's names.
  """
  other = (word_head, WORD_HEAD)
  if config.task == "mlm":
    other = (CLASSIFIER, NO_WORD_HEAD)
  if config.pooler:
    return (CONSTANTS, other)
  what = "pooling" if config.task == "classification" else "task"
  reason = f"{what} {getattr(config, what)!r} does without the pooler"
  return (CONSTANTS, other, (POOLER, reason))


def check(config: Config, shapes: Iterable[str]) -> None:
  """Says what to do where a source has no pooler.

  Raises:
    UserError: if the config asks for one.
  """
  if config.pooler and not any("pooler" in name for name in shapes):
    raise UserError(
      "the source has no pooler, as after a training of masked words or of"
      ' tokens: load it with pooling="mean" or pooling="cls".'
    )


def has_anchor(shapes: Shapes) -> bool:
  """Whether a source is in the layout of transformers."""
  return any(name.endswith(ANCHOR) for name in shapes)


Table = Callable[[Any, Iterable[str]], dict[str, Entry]]


def dialects(
  table: Table,
  dropped: Callable[[Any], Rules],
  head: str,
  tied: Mapping[str, str],
) -> tuple[Dialect, Dialect]:
  """Returns the two dialects of transformers: PyTorch's and Flax's.

  Args:
    table, dropped: as of `Dialect`, with PyTorch's names.
    head: a regex over the names: the head of any task.
    tied: {copy: tensor that it must equal} of the masked words' head.
  """
  hf = Dialect(
    "hf",
    fits=has_anchor,
    table=table,
    dropped=dropped,
    head=head,
    check=check,
    ties=lambda config: tied if config.task == "mlm" else {},
  )
  return hf, flax(table, dropped, head)


def flax(table: Table, dropped: Callable[[Any], Rules], head: str) -> Dialect:
  """Returns the dialect of the Flax models that transformers once had.

  They have PyTorch's paths, and jft's own words for leaves and layouts.

  Args:
    table, dropped, head: of PyTorch's dialect.

  Source: transformers 4, modeling_flax_bert.py, modeling_flax_roberta.py and
    modeling_flax_distilbert.py.
  """
  anchor = ANCHOR.replace(".weight", ".embedding").replace(".", "/")

  def flax_table(config: Any, shapes: Iterable[str]) -> dict[str, Entry]:
    spelled = (
      name.replace("/", ".").replace("s.embedding", "s.weight")
      for name in shapes
    )
    return {
      ours: Entry(
        f"{entry.source.rpartition('.')[0]}.{ours.rpartition('/')[2]}".replace(
          ".", "/"
        )
      )
      for ours, entry in table(config, spelled).items()
    }

  return Dialect(
    "flax",
    fits=lambda shapes: any(name.endswith(anchor) for name in shapes),
    table=flax_table,
    dropped=dropped,
    head=head,
    check=check,
  )
