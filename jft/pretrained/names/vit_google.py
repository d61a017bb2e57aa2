"""Vision transformers: jft's names to those of Google's .npz files."""

from typing import Protocol

from jft.errors import UserError
from jft.pretrained.dialect import Dialect, Shapes
from jft.pretrained.layouts import Entry, View
from jft.pretrained.names.spelling import FLAX
from jft.typing import Rules


class Config(Protocol):
  """The fields read here; `jft.models.vit.Config` has them all."""

  @property
  def width(self) -> int: ...
  @property
  def depth(self) -> int: ...
  @property
  def heads(self) -> int: ...
  @property
  def pooling(self) -> str: ...


def table(config: Config, shapes: Shapes) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in a .npz file}.

  The head is always listed; a model without one has no such variables.

  Source: the files of google-research/vision_transformer, original and augreg.
  """
  del shapes
  root = "Transformer"
  entries = FLAX.conv("embeddings/patch", "embedding")
  entries |= FLAX.leaf("embeddings/class_token/embedding", "cls")
  entries |= FLAX.leaf(
    "embeddings/position/embedding", f"{root}.posembed_input.pos_embedding"
  )
  for i in range(config.depth):
    entries |= _block(config, f"block_{i:02d}", f"{root}.encoderblock_{i}")
  entries |= FLAX.norm("norm", f"{root}.encoder_norm")
  if config.pooling == "cls_pooler":
    entries |= FLAX.dense("pooler", "pre_logits")
  return entries | FLAX.dense("head", "head")


def check(config: Config, shapes: Shapes) -> None:
  """Checks that a file has as many blocks as the architecture.

  Raises:
    UserError: saying how many there are.
  """
  prefix = "Transformer/encoderblock_"
  found = {n.split("/")[1] for n in shapes if n.startswith(prefix)}
  if len(found) != config.depth:
    raise UserError(
      f"the file holds a vision transformer of {len(found)} blocks, the arch"
      f" has {config.depth}. Change the arch, or give the file that fits it."
    )


def _block(config: Config, ours: str, theirs: str) -> dict[str, Entry]:
  attention = f"{theirs}.MultiHeadDotProductAttention_1"
  entries = FLAX.norm(f"{ours}/attention_norm", f"{theirs}.LayerNorm_0")
  d, split = config.width, (config.heads, config.width // config.heads)
  for name in ("query", "key", "value"):
    views = View((d, *split), (d, d)), View(split, (d,))
    entries |= _viewed(
      FLAX.dense(f"{ours}/attention/{name}", f"{attention}.{name}"), *views
    )
  entries |= _viewed(
    FLAX.dense(f"{ours}/attention/out", f"{attention}.out"),
    View((*split, d), (d, d)),
    None,
  )
  return (
    entries
    | FLAX.norm(f"{ours}/mlp_norm", f"{theirs}.LayerNorm_2")
    | FLAX.dense(f"{ours}/mlp/up", f"{theirs}.MlpBlock_3.Dense_0")
    | FLAX.dense(f"{ours}/mlp/down", f"{theirs}.MlpBlock_3.Dense_1")
  )


def _viewed(
  entries: dict[str, Entry], kernel: View, bias: View | None
) -> dict[str, Entry]:
  """Returns a dense layer's rows, for a source with its heads apart."""
  return {
    name: Entry(
      entry.source,
      entry.layout,
      view=kernel if name.endswith("/kernel") else bias,
    )
    for name, entry in entries.items()
  }


def _dropped(config: Config) -> Rules:
  del config
  return ()


GOOGLE = Dialect(
  "google",
  fits=lambda shapes: "Transformer/posembed_input/pos_embedding" in shapes,
  table=table,
  dropped=_dropped,
  head=r"head/(kernel|bias)",
  check=check,
)
