"""ResNet: jft's names to torchvision's (timm uses the same)."""

import re
from typing import Any

from jft.errors import UserError
from jft.pretrained.dialect import Dialect
from jft.pretrained.layouts import Entry
from jft.pretrained.names import resnet_hf, resnet_keras
from jft.pretrained.names.resnet_places import (
  Config,
  Place,
  places,
  torch_entries,
)
from jft.pretrained.names.torch import TORCH_DROPPED
from jft.pretrained.preprocessing import Preprocessing
from jft.typing import Mapping

_KERNELS = {"basic": (3, 3), "bottleneck": (1, 3, 1)}
"""Kernel sizes of a block's convolutions."""


def table(config: Config) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in a torchvision state dict}.

  The head is always listed; a model without one has no such variables.

  Source: torchvision.models.resnet.ResNet.state_dict; timm's, which has the
    same names and those of a deep stem.
  """
  entries = {}
  for place in places(config):
    entries |= torch_entries(place, *_names(config, place))
  entries["params/head/kernel"] = Entry("fc.weight", "dense")
  entries["params/head/bias"] = Entry("fc.bias")
  return entries


def detect(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
  """Infers the architecture from a state dict's names and shapes.

  Shapes cannot tell v1.5 from v1, which has the stride elsewhere.

  Args:
    shapes: {source name: shape}.

  Returns:
    The config's fields that shapes show, and `num_classes` (None without
    `fc.weight`); or None if this is no ResNet that jft has.
  """
  deep = "conv1.0.weight" in shapes
  stem = tuple(shapes.get("conv1.0.weight" if deep else "conv1.weight", ()))
  sizes = _stage_sizes(shapes)
  if len(stem) != 4 or stem[2:] not in ((7, 7), (3, 3)) or not sizes:
    return None
  block = "bottleneck" if "layer1.0.conv3.weight" in shapes else "basic"
  width = stem[0] * 2 if deep else stem[0]
  groups = _groups(shapes, block, width)
  if groups is None:
    return None
  for stage, blocks in enumerate(sizes):
    for i in range(blocks):
      kernels = _kernels(block, width, groups, stage, i)
      for j, shape in enumerate(kernels, 1):
        name = f"layer{stage + 1}.{i}.conv{j}.weight"
        if tuple(shapes.get(name, ())) != shape:
          return None
  head = shapes.get("fc.weight")
  pooled = any(name.endswith(".downsample.2.weight") for name in shapes)
  return {
    "stage_sizes": sizes,
    "block": block,
    "width": width,
    "stem": "deep" if deep else "imagenet" if stem[2] == 7 else "small",
    "in_channels": stem[1],
    "groups": groups[0],
    "group_width": groups[1],
    "shortcut": "avg_pool" if pooled else "conv",
    "num_classes": None if head is None else head[0],
  }


def check(config: Config, shapes: Mapping[str, tuple[int, ...]]) -> None:
  """Checks that a state dict holds the architecture that was asked for.

  The classes and the image's channels may differ: those are single tensors,
  which adapting the weights deals with.

  Args:
    config: the architecture that was asked for.
    shapes: {source name: shape}.

  Raises:
    UserError: saying what the file holds instead.
  """
  found = detect(shapes)
  if found is None:
    raise UserError(
      "the file is no ResNet in torchvision's layout (conv1.weight,"
      f" layer1.0.conv1.weight, ...): its {len(shapes)} tensors begin with"
      f" {', '.join(list(shapes)[:3])}. Give the arch that it was made for."
    )
  free = ("num_classes", "in_channels")
  wrong = [
    name
    for name in found
    if name not in free and getattr(config, name) != found[name]
  ]
  if wrong:
    raise UserError(
      "the file holds another ResNet than the arch that was asked for:"
      f" {_listing(found, wrong)}, expected"
      f" {_listing({name: getattr(config, name) for name in wrong}, wrong)}."
      " Change the arch, or give the file that fits it."
    )


def _names(config: Config, place: Place) -> tuple[str, str]:
  """Returns the source's names of a convolution and its norm."""
  if place.stage < 0:
    if config.stem != "deep":
      return "conv1", "bn1"
    # A sequence: convolution, norm, ReLU, ...; the last norm is outside of it.
    last = place.index == 2
    first = 3 * place.index
    return f"conv1.{first}", "bn1" if last else f"conv1.{first + 1}"
  block = f"layer{place.stage + 1}.{place.block}"
  if place.index < 0:
    # With a mean before them they stand one further in the sequence.
    first = int(config.shortcut == "avg_pool")
    return f"{block}.downsample.{first}", f"{block}.downsample.{first + 1}"
  return f"{block}.conv{place.index + 1}", f"{block}.bn{place.index + 1}"


def _stage_sizes(shapes: Mapping[str, Any]) -> tuple[int, ...]:
  """Returns the number of blocks of layer1, layer2, ...; () if none."""
  found = [re.match(r"layer(\d+)\.(\d+)\.conv1\.weight$", n) for n in shapes]
  blocks = {(int(m[1]), int(m[2])) for m in found if m}
  sizes = []
  while (stage := len(sizes) + 1, 0) in blocks:
    count = 0
    while (stage, count) in blocks:
      count += 1
    sizes.append(count)
  return tuple(sizes) if sum(sizes) == len(blocks) else ()


def _groups(
  shapes: Mapping[str, tuple[int, ...]], block: str, width: int
) -> tuple[int, int] | None:
  """Returns `groups` and `group_width`, by the first block; None if neither."""
  if block == "basic":
    return 1, 64
  inner, inputs, *_ = shapes.get("layer1.0.conv2.weight", (0, 0))
  if not inputs or inner % inputs:
    return None
  groups = inner // inputs
  return groups, inner * 64 // (width * groups)


def _kernels(
  block: str, width: int, groups: tuple[int, int], stage: int, i: int
) -> list[tuple[int, ...]]:
  """Returns the kernel shapes of block i of a stage (both from 0), OIHW."""
  planes = width * 2**stage
  inner = planes * groups[1] // 64 * groups[0]
  out = planes * (4 if block == "bottleneck" else 1)
  before = width if stage == 0 else out // 2
  inputs = before if i == 0 else out
  channels = [inputs, *[inner] * (len(_KERNELS[block]) - 1), out]
  return [
    (channels[j + 1], channels[j] // (groups[0] if j == 1 else 1), size, size)
    for j, size in enumerate(_KERNELS[block])
  ]


def _preprocessing(config: Any) -> Preprocessing | None:
  if config.stem == "deep":
    return None  # timm's: some with ImageNet's mean, some with 0.5
  size = 224 if config.stem == "imagenet" else 32
  if config.in_channels == 3:
    return Preprocessing(size)
  grey = (0.5,) * config.in_channels
  return Preprocessing(size, grey, grey)


TORCHVISION = Dialect(
  "torchvision",
  fits=lambda shapes: (
    "bn1.weight" in shapes
    and ("conv1.weight" in shapes or "conv1.0.weight" in shapes)
  ),
  table=lambda config, shapes: table(config),
  dropped=lambda config: TORCH_DROPPED,
  head=r"fc\.(weight|bias)",
  check=check,
  preprocessing=_preprocessing,
)

DIALECTS = (TORCHVISION, resnet_hf.HF, resnet_keras.KERAS, resnet_keras.FIRST)


def _listing(values: Mapping[str, Any], names: list[str]) -> str:
  return ", ".join(f"{name}={values[name]!r}" for name in names)
