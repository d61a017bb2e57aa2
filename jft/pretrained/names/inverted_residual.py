"""The names of a network of inverted residual blocks, whoever wrote it."""

from typing import NamedTuple

from jft.pretrained.layouts import Entry
from jft.pretrained.names.keras import Spelling
from jft.pretrained.names.torch import TORCH, Torch
from jft.typing import Callable, Sequence


class ConvNorm(NamedTuple):
  """The source's names of a convolution and of its norm."""

  conv: str
  norm: str


class Block(NamedTuple):
  """Which block: its stage, its place there and its number in all, from 0."""

  stage: int
  index: int
  number: int

  @property
  def expands(self) -> bool:
    """Those of the first stage have nothing to expand."""
    return self.stage > 0


class Pieces(NamedTuple):
  """The source's names of the parts of one block.

  Attributes:
    expand: read where the block expands.
    depthwise, project: of every block.
    squeeze, excite: the two convolutions of the squeeze-and-excitation, read
      where the network has it.
  """

  expand: ConvNorm
  depthwise: ConvNorm
  project: ConvNorm
  squeeze: str = ""
  excite: str = ""


class Naming(NamedTuple):
  """How one project names such a network.

  Attributes:
    stem, top: before and after the blocks.
    head: the classifier.
    pieces: the names of a block.
  """

  stem: ConvNorm
  top: ConvNorm
  head: str
  pieces: Callable[[Block], Pieces]


def table(
  naming: Naming,
  stage_sizes: Sequence[int],
  *,
  squeeze: bool,
  source: Torch | Spelling = TORCH,
) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in a source}.

  The head is always listed; a model without one has no such variables.

  Args:
    naming: of the project.
    stage_sizes: how many blocks each stage has.
    squeeze: whether the blocks squeeze and excite.
    source: how it spells the tensors of a layer.
  """

  def conv_norm(ours: str, theirs: ConvNorm) -> dict[str, Entry]:
    conv = source.conv(f"{ours}/conv", theirs.conv, bias=False)
    return conv | source.norm(f"{ours}/norm", theirs.norm)

  entries = conv_norm("stem", naming.stem) | conv_norm("top", naming.top)
  for block in _blocks(stage_sizes):
    ours, pieces = f"block_{block.number:02d}", naming.pieces(block)
    if block.expands:
      entries |= conv_norm(f"{ours}/expand", pieces.expand)
    mixed = pieces.depthwise
    entries |= source.depthwise(f"{ours}/depthwise/conv", mixed.conv)
    entries |= source.norm(f"{ours}/depthwise/norm", mixed.norm)
    if squeeze:
      at = f"{ours}/squeeze"
      entries |= source.conv(f"{at}/reduce", pieces.squeeze, bias=True)
      entries |= source.conv(f"{at}/expand", pieces.excite, bias=True)
    entries |= conv_norm(f"{ours}/project", pieces.project)
  return entries | source.dense("head", naming.head)


def timm_pieces(block: Block) -> Pieces:
  """The names that timm's EfficientNet class gives all such blocks."""
  at = f"blocks.{block.stage}.{block.index}"
  convs = ("conv_pw", "conv_dw", "conv_pwl")
  if not block.expands:
    convs = ("", "conv_dw", "conv_pw")
  first = 1 if block.expands else 0
  expand, depthwise, project = (
    ConvNorm(f"{at}.{conv}", f"{at}.bn{first + i}")
    for i, conv in enumerate(convs)
  )
  squeeze, excite = f"{at}.se.conv_reduce", f"{at}.se.conv_expand"
  return Pieces(expand, depthwise, project, squeeze, excite)


TIMM_NAMES = Naming(
  ConvNorm("conv_stem", "bn1"),
  ConvNorm("conv_head", "bn2"),
  "classifier",
  timm_pieces,
)
"""What timm calls every such network's parts."""


def torchvision_pieces(at: str, block: Block, *, squeeze: bool) -> Pieces:
  """The names of a block that torchvision has as a Sequential called `at`."""
  place = iter(range(4))

  def conv_norm() -> ConvNorm:
    i = next(place)
    return ConvNorm(f"{at}.{i}.0", f"{at}.{i}.1")

  expand = conv_norm() if block.expands else ConvNorm("", "")
  depthwise = conv_norm()
  if not squeeze:  # MobileNetV2: the projection is not wrapped
    i = next(place)
    return Pieces(expand, depthwise, ConvNorm(f"{at}.{i}", f"{at}.{i + 1}"))
  se = f"{at}.{next(place)}"
  return Pieces(expand, depthwise, conv_norm(), f"{se}.fc1", f"{se}.fc2")


def _blocks(stage_sizes: Sequence[int]) -> list[Block]:
  found: list[Block] = []
  for stage, blocks in enumerate(stage_sizes):
    found += [Block(stage, i, len(found) + i) for i in range(blocks)]
  return found
