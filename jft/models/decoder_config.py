"""What makes one text decoder differ from another, whatever its family."""

import dataclasses
import types
from typing import ClassVar, Literal

from jft.errors import UserError
from jft.models.activations import ACTIVATIONS
from jft.models.rope import Rope
from jft.models.text_config import check_fields, check_known
from jft.typing import Any, Mapping

CHOICES = types.MappingProxyType(
  {
    "activation": tuple(ACTIVATIONS),
    "pooling": ("last", "mean"),
    "task": ("lm", "classification"),
  }
)
FULL, SLIDING = "full", "sliding"


def writes(config: Any) -> bool:
  """Returns whether a config is of a model that goes on with texts.

  Args:
    config: of any family.
  """
  return isinstance(config, DecoderConfig) and config.task == "lm"


@dataclasses.dataclass(frozen=True)
class Style:
  """What a family's blocks are made of; the defaults are Llama's.

  Attributes:
    norm: "rms", "rms_offset" (its leaves are added to 1) or "layer".
    gated: the MLP multiplies two branches.
    qkv_bias, out_bias, mlp_bias: which dense layers have one.
    qk_norm: queries and keys are normalised, head by head.
    sandwich: what a branch adds is normalised, too.
    embedding_scale: of the words' embeddings.
    query_scale: of the scores; None is one over the root of head_dim.
    attention_cap, logit_cap: scores and logits stay between plus and minus
      this, by tanh; 0 does nothing.
    residual_std: of fresh kernels that end a branch; None is as all others.
  """

  norm: Literal["rms", "rms_offset", "layer"] = "rms"
  gated: bool = True
  qkv_bias: bool = False
  out_bias: bool = False
  mlp_bias: bool = False
  qk_norm: bool = False
  sandwich: bool = False
  embedding_scale: float = 1.0
  query_scale: float | None = None
  attention_cap: float = 0.0
  logit_cap: float = 0.0
  residual_std: float | None = None


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
  """What makes one text decoder differ from another.

  Attributes:
    vocab_size: rows of the word embedding.
    width: channels of a token state; depth: blocks.
    heads: of the queries; kv_heads: of keys and values, each for
      `heads / kv_heads` queries; head_dim: channels of each.
    mlp_width: channels inside a block's MLP.
    max_tokens: of the longest text.
    activation: of the MLP, a key of `ACTIVATIONS`.
    norm_eps: added to the mean square, or the variance, in every norm.
    dropout, embedding_dropout, attention_dropout: rates, of what a branch
      adds, of the embeddings and of the attention weights.
    init_std: of the normal that fresh kernels and embeddings are drawn from.
    tied: words are scored by their own embedding.
    layer_types: of each block, "full" or "sliding"; () is "full" for all, or
      "sliding" if there is a window.
    window: how many tokens, itself included, a token of a sliding block sees;
      0 for no limit.
    pooling: how states become `features`: "last" is that of the last token,
      "mean" the mean over all that are not padding.
    task: what `logits` are: "lm" [b n vocab_size], scores of the next word;
      "classification" [b k], from the features.

  Raises:
    UserError: for a value that no such decoder can have.
  """

  title: ClassVar[str] = "the decoder"

  vocab_size: int = 32000
  width: int = 4096
  depth: int = 32
  heads: int = 32
  kv_heads: int = 32
  head_dim: int = 128
  mlp_width: int = 11008
  max_tokens: int = 2048
  activation: str = "silu"
  norm_eps: float = 1e-6
  dropout: float = 0.0
  embedding_dropout: float = 0.0
  attention_dropout: float = 0.0
  init_std: float = 0.02
  tied: bool = False
  layer_types: tuple[str, ...] = ()
  window: int = 0
  pooling: Literal["last", "mean"] = "last"
  task: Literal["lm", "classification"] = "lm"

  def __post_init__(self):
    check_fields(self, CHOICES)
    if self.heads % self.kv_heads:
      raise UserError(
        f"{self.title} heads {self.heads} must be a multiple of kv_heads"
        f" {self.kv_heads}."
      )
    self._check_layers()

  def _check_layers(self) -> None:
    for kind in self.layer_types:
      check_known(f"{self.title} layer_types", kind, (FULL, SLIDING))
    if self.layer_types and len(self.layer_types) != self.depth:
      raise UserError(
        f"{self.title} layer_types must name each of {self.depth} blocks, got"
        f" {len(self.layer_types)}."
      )
    if SLIDING in self.layer_types and not self.window:
      raise UserError(f"{self.title} has sliding blocks but no window.")

  @property
  def kinds(self) -> tuple[str, ...]:
    """Each block's kind: "full" or "sliding"."""
    usual = SLIDING if self.window else FULL
    return self.layer_types or (usual,) * self.depth

  def window_of(self, kind: str) -> int:
    """Returns how many tokens a token of such a block sees, 0 for no limit."""
    return self.window if kind == SLIDING else 0

  @property
  def style(self) -> Style:
    """What the blocks are made of."""
    return Style()

  @property
  def ropes(self) -> Mapping[str, Rope]:
    """Each kind's rotary embedding; empty without."""
    return {}

  @property
  def position_rows(self) -> int:
    """Rows of the positions' embedding, 0 without one."""
    return 0
