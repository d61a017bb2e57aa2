"""What VGGs are made of."""

import dataclasses
import types

from jft.errors import UserError
from jft.typing import Iterator, Mapping


@dataclasses.dataclass(frozen=True)
class Config:
  """What makes one VGG differ from another.

  Attributes:
    stage_sizes: 3x3 convolutions in each stage; a 2x2 max pool ends a stage.
    norm: whether a BatchNorm follows every convolution.
    width: channels of the first stage; each next one has twice as many, up to
      eight times as many.
    pooled: the last map is averaged to so many pixels a side.
    hidden: channels of the two dense layers before the head.
    dropout: rate, after each of those two.
    in_channels: channels of the image.

  Raises:
    UserError: for a value that no VGG can have.
  """

  stage_sizes: tuple[int, ...]
  norm: bool = False
  width: int = 64
  pooled: int = 7
  hidden: int = 4096
  dropout: float = 0.5
  in_channels: int = 3

  def __post_init__(self):
    if not self.stage_sizes or min(self.stage_sizes) < 1:
      raise UserError(
        "VGG stage_sizes must hold one positive number of convolutions a"
        f" stage, got {self.stage_sizes!r}."
      )
    for field in ("width", "pooled", "hidden", "in_channels"):
      if (value := getattr(self, field)) < 1:
        raise UserError(f"VGG {field} must be positive, got {value}.")
    if not 0 <= self.dropout < 1:
      raise UserError(f"VGG dropout must be in [0, 1), got {self.dropout}.")

  def blocks(self) -> Iterator[tuple[int, int, int]]:
    """Yields (stage, number in it, channels) of every convolution, from 0.

    >>> list(Config((1, 2)).blocks())
    [(0, 0, 64), (1, 0, 128), (1, 1, 128)]
    """
    for stage, size in enumerate(self.stage_sizes):
      for number in range(size):
        yield stage, number, self.width * min(2**stage, 8)


_SIZES = types.MappingProxyType(
  {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
  }
)
PRESETS: Mapping[str, Config] = types.MappingProxyType(
  {name: Config(sizes) for name, sizes in _SIZES.items()}
  | {f"{name}_bn": Config(sizes, norm=True) for name, sizes in _SIZES.items()}
)
