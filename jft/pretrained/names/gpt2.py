"""GPT-2: jft's names to those of transformers, and to OpenAI's own."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from jft.pretrained.dialect import Dialect, Shapes
from jft.pretrained.layouts import Entry, Part, View
from jft.pretrained.names import decoder
from jft.typing import Rules

ANCHOR = "wte.weight"
"""The one name that every GPT-2 of transformers has."""

_OPENAI_ANCHOR = "model/wte"


class Config(decoder.Config, Protocol):
  """The fields read here besides."""

  @property
  def width(self) -> int: ...
  @property
  def mlp_width(self) -> int: ...


class _Spelling(NamedTuple):
  """How a project spells a name: its parts are joined by `separator`."""

  root: str
  separator: str
  block: str
  kernel: str
  scale: str
  bias: str
  convolved: bool = False

  def name(self, *parts: str) -> str:
    return self.root + self.separator.join(parts)

  def kernel_view(self, inputs: int, outputs: int) -> View | None:
    """OpenAI has each dense layer as a convolution of width 1."""
    if not self.convolved:
      return None
    return View((1, inputs, outputs), (inputs, outputs))


def table(config: Config, names: Iterable[str] = ()) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in a source}.

  Args:
    config: of the model.
    names: all names of the source, which tell its prefix; none for what a
      task's model saves today.

  Raises:
    UserError: if the names are not those of a GPT-2.

  Source: transformers.GPT2LMHeadModel.state_dict, and that of
    GPT2ForSequenceClassification.
  """
  root = decoder.prefix(names, ANCHOR, "transformer.")
  how = _Spelling(root, ".", "h.{}", "weight", "weight", "bias")
  entries = _body(config, how, ".weight")
  return entries | decoder.head(config, root.removesuffix("transformer."))


def openai(config: Config, names: Iterable[str] = ()) -> dict[str, Entry]:
  """Returns the same of OpenAI's TensorFlow checkpoints, which have no head.

  Args:
    config: of the model.
    names: of the checkpoint; they are always spelled in one way.

  Source: openai/gpt-2, src/model.py.
  """
  del names
  how = _Spelling("model/", "/", "h{}", "w", "g", "b", convolved=True)
  return _body(config, how, "")


def ties(config: Config) -> dict[str, str]:
  """Returns {copy: tensor that it must equal} of tied words."""
  if config.task != "lm" or not config.tied:
    return {}
  return {"lm_head.weight": f"transformer.{ANCHOR}"}


def fits(shapes: Shapes) -> bool:
  """Whether a source is in the layout of transformers."""
  return any(n == ANCHOR or n.endswith("." + ANCHOR) for n in shapes)


def _dropped_openai(config: Config) -> Rules:
  del config
  return ((r"global_step|.*/(adam|Adam).*|beta[12]_power", "of the optimizer"),)


HF = Dialect(
  "hf",
  fits=fits,
  table=table,
  dropped=decoder.dropped,
  head=decoder.HEAD,
  check=decoder.check,
  ties=ties,
)

OPENAI = Dialect(
  "openai",
  fits=lambda shapes: _OPENAI_ANCHOR in shapes,
  table=openai,
  dropped=_dropped_openai,
  head=decoder.HEAD,
)

DIALECTS = (HF, OPENAI)


def _body(config: Config, how: _Spelling, suffix: str) -> dict[str, Entry]:
  """The entries of all but the head; `suffix` is the embeddings'."""
  entries = {
    "params/embeddings/word/embedding": Entry(f"{how.root}wte{suffix}"),
    "params/embeddings/position/embedding": Entry(f"{how.root}wpe{suffix}"),
  }
  for i in range(config.depth):
    entries |= _block(config, how, f"block_{i:02d}", how.block.format(i))
  return entries | _norm(how, "norm", "ln_f")


def _block(
  config: Config, how: _Spelling, ours: str, theirs: str
) -> dict[str, Entry]:
  width, inner = config.width, config.mlp_width
  entries = _norm(how, f"{ours}/attention_norm", theirs, "ln_1")
  for i, name in enumerate(("query", "key", "value")):
    entries |= _qkv(how, f"{ours}/attention/{name}", i, width, theirs)
  entries |= _dense(
    how, f"{ours}/attention/out", (width, width), theirs, "attn", "c_proj"
  )
  entries |= _norm(how, f"{ours}/mlp_norm", theirs, "ln_2")
  entries |= _dense(
    how, f"{ours}/mlp/up", (width, inner), theirs, "mlp", "c_fc"
  )
  return entries | _dense(
    how, f"{ours}/mlp/down", (inner, width), theirs, "mlp", "c_proj"
  )


def _qkv(
  how: _Spelling, ours: str, index: int, width: int, theirs: str
) -> dict[str, Entry]:
  """One of query, key and value, which one fused layer holds side by side."""
  kernel = how.name(theirs, "attn", "c_attn", how.kernel)
  axis = 2 if how.convolved else 1
  return {
    f"params/{ours}/kernel": Entry(
      kernel, part=Part(index, 3, axis), view=how.kernel_view(width, width)
    ),
    f"params/{ours}/bias": Entry(
      how.name(theirs, "attn", "c_attn", how.bias), part=Part(index, 3)
    ),
  }


def _dense(
  how: _Spelling, ours: str, sizes: tuple[int, int], *theirs: str
) -> dict[str, Entry]:
  """A dense layer, (in, out) as in jft."""
  view = how.kernel_view(*sizes)
  return {
    f"params/{ours}/kernel": Entry(how.name(*theirs, how.kernel), view=view),
    f"params/{ours}/bias": Entry(how.name(*theirs, how.bias)),
  }


def _norm(how: _Spelling, ours: str, *theirs: str) -> dict[str, Entry]:
  return {
    f"params/{ours}/scale": Entry(how.name(*theirs, how.scale)),
    f"params/{ours}/bias": Entry(how.name(*theirs, how.bias)),
  }
