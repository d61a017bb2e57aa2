"""DenseNet: jft's names to those of torchvision (timm's too) and Keras."""

import dataclasses
import types
from typing import Any, NamedTuple, Protocol

from jft.pretrained.dialect import Dialect, Shapes
from jft.pretrained.layouts import Entry
from jft.pretrained.names.keras import Spelling, spelling
from jft.pretrained.names.torch import TORCH, TORCH_DROPPED
from jft.pretrained.preprocessing import Preprocessing
from jft.typing import Iterator

# keras_applications had these; a "/" in them is no folder.
_OLD_LAYERS = types.MappingProxyType(
  {"conv1/conv": "conv1_conv", "conv1/bn": "conv1_bn"}
)


class Config(Protocol):
  """The fields read here; `jft.models.densenet.Config` has them all."""

  @property
  def stage_sizes(self) -> tuple[int, ...]: ...


class Place(NamedTuple):
  """A block: jft's name, its stage and its number in it, both from 1."""

  name: str
  stage: int
  number: int

  @property
  def has_transition(self) -> bool:
    """Whether a transition stands before it."""
    return self.stage > 1 and self.number == 1


def places(config: Config) -> Iterator[Place]:
  """Yields every block."""
  count = 0
  for stage, blocks in enumerate(config.stage_sizes, 1):
    for number in range(1, blocks + 1):
      yield Place(f"block_{count:02d}", stage, number)
      count += 1


def table(config: Config, shapes: Shapes) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in a torchvision state dict}.

  Args:
    config: of the network.
    shapes: the source's; none for what torchvision saves today. The files that
      it publishes have a dot in "norm.1".

  Source: torchvision.models.densenet.DenseNet.state_dict.
  """
  dot = "." if _LEGACY in shapes else ""
  entries = TORCH.conv("stem/conv", "features.conv0", bias=False)
  entries |= TORCH.norm("stem/norm", "features.norm0")
  for place in places(config):
    if place.has_transition:
      theirs = f"features.transition{place.stage - 1}"
      ours = f"{place.name}/transition"
      entries |= TORCH.norm(f"{ours}/norm", f"{theirs}.norm")
      entries |= TORCH.conv(f"{ours}/conv", f"{theirs}.conv", bias=False)
    theirs = f"features.denseblock{place.stage}.denselayer{place.number}"
    for i in (1, 2):
      norm, conv = f"{theirs}.norm{dot}{i}", f"{theirs}.conv{dot}{i}"
      entries |= TORCH.norm(f"{place.name}/norm{i}", norm)
      entries |= TORCH.conv(f"{place.name}/conv{i}", conv, bias=False)
  last = TORCH.norm("norm", "features.norm5")  # of however many stages
  return entries | last | TORCH.dense("head", "classifier")


def keras_table(config: Config, shapes: Shapes) -> dict[str, Entry]:
  """Returns the same for Keras.

  Source: keras.applications.densenet.
  """
  source = _spelling(shapes)
  entries = source.conv("stem/conv", "conv1_conv", bias=False)
  entries |= source.norm("stem/norm", "conv1_bn")
  for place in places(config):
    if place.has_transition:
      theirs, ours = f"pool{place.stage}", f"{place.name}/transition"
      entries |= source.norm(f"{ours}/norm", f"{theirs}_bn")
      entries |= source.conv(f"{ours}/conv", f"{theirs}_conv", bias=False)
    theirs = f"conv{place.stage + 1}_block{place.number}"
    for i in (1, 2):
      entries |= source.norm(f"{place.name}/norm{i}", f"{theirs}_{i - 1}_bn")
      entries |= source.conv(
        f"{place.name}/conv{i}", f"{theirs}_{i}_conv", bias=False
      )
  old = "fc1000/kernel" in source.names
  head = source.dense("head", "fc1000" if old else "predictions")
  return entries | source.norm("norm", "bn") | head


def _spelling(shapes: Shapes) -> Spelling:
  return spelling(shapes, _OLD_LAYERS)


def _keras(config: Any) -> Any:
  return dataclasses.replace(config, norm_eps=1.001e-5, norm_momentum=0.99)


_FIRST = "features.denseblock1.denselayer1.norm"
_LEGACY = f"{_FIRST}.1.weight"

TORCHVISION = Dialect(
  "torchvision",
  fits=lambda shapes: f"{_FIRST}1.weight" in shapes or _LEGACY in shapes,
  table=table,
  dropped=lambda config: TORCH_DROPPED,
  head=r"classifier\.(weight|bias)",
  preprocessing=lambda config: Preprocessing(224),
)
KERAS = Dialect(
  "keras",
  fits=lambda shapes: (
    {"conv1_conv/kernel", "conv2_block1_0_bn/gamma"}
    <= _spelling(shapes).names.keys()
  ),
  table=keras_table,
  dropped=lambda config: (),
  head=r"(.*/)?(predictions|fc1000)/(kernel|bias)(:0)?",
  adjust=_keras,
  preprocessing=lambda config: Preprocessing(224),
)

DIALECTS = (TORCHVISION, KERAS)
