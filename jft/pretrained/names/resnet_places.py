"""Every convolution and norm of a ResNet, for the tables of all dialects."""

from typing import NamedTuple, Protocol

from jft.pretrained.layouts import Entry
from jft.pretrained.names.torch import TORCH
from jft.typing import Iterator


class Config(Protocol):
  """The fields read here; `jft.models.resnet.Config` has them all."""

  @property
  def stage_sizes(self) -> tuple[int, ...]: ...
  @property
  def block(self) -> str: ...
  @property
  def width(self) -> int: ...
  @property
  def stem(self) -> str: ...
  @property
  def groups(self) -> int: ...
  @property
  def group_width(self) -> int: ...
  @property
  def shortcut(self) -> str: ...
  @property
  def conv_bias(self) -> bool: ...
  def inner_width(self, stage: int) -> int: ...
  def has_projection(self, stage: int, block: int) -> bool: ...


class Place(NamedTuple):
  """Where a convolution and its norm stand; everything counts from 0.

  Attributes:
    conv, norm: jft's names.
    stage: -1 for the stem.
    block: in its stage.
    index: of the convolution in the stem or block; -1 for the shortcut's.
  """

  conv: str
  norm: str
  stage: int
  block: int
  index: int


def places(config: Config) -> Iterator[Place]:
  """Yields every place, from the stem to the last block.

  Args:
    config: of the network.
  """
  if config.stem == "deep":
    for i in range(3):
      yield Place(f"stem_{i}/conv", f"stem_{i}/norm", -1, 0, i)
  else:
    yield Place("stem/conv", "stem/norm", -1, 0, 0)
  count = 3 if config.block == "bottleneck" else 2
  number = 0
  for stage, blocks in enumerate(config.stage_sizes):
    for block in range(blocks):
      name = f"block_{number:02d}"
      for i in range(count):
        yield Place(
          f"{name}/conv{i + 1}", f"{name}/norm{i + 1}", stage, block, i
        )
      if config.has_projection(stage, block):
        name += "/downsample"
        yield Place(f"{name}/conv", f"{name}/norm", stage, block, -1)
      number += 1


def torch_entries(
  place: Place, conv: str, norm: str, *, bias: bool = False
) -> dict[str, Entry]:
  """Returns the entries of a convolution and its BatchNorm in PyTorch.

  Args:
    place: jft's names.
    conv, norm: the source's, without ".weight".
    bias: whether the convolution has one.
  """
  return TORCH.conv(place.conv, conv, bias=bias) | TORCH.norm(place.norm, norm)
