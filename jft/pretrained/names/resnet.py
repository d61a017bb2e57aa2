"""ResNet: jft's names to torchvision's (timm uses the same)."""

import re
from typing import Any, Protocol

from jft.errors import UserError
from jft.pretrained.dialect import Dialect
from jft.pretrained.layouts import Entry
from jft.pretrained.preprocessing import Preprocessing
from jft.typing import Mapping, Rules

DROPPED: Rules = (
  (
    r"(.*\.)?num_batches_tracked",
    "a counter that PyTorch reads only when momentum is None",
  ),
)
"""Tensors of the source that jft never needs, and why."""

_CONVS = {"basic": (3, 3), "bottleneck": (1, 3, 1)}
"""Kernel sizes of a block's convolutions."""


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


def table(config: Config) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in a torchvision state dict}.

  The head is always listed; a model without one has no such variables.

  Source: torchvision.models.resnet.ResNet.state_dict.
  """
  entries = _conv_norm("stem/conv", "stem/norm", "conv1", "bn1")
  number = 0
  for stage, blocks in enumerate(config.stage_sizes, 1):
    for i in range(blocks):
      ours, theirs = f"block_{number:02d}", f"layer{stage}.{i}"
      for j in range(1, len(_CONVS[config.block]) + 1):
        entries |= _conv_norm(
          f"{ours}/conv{j}",
          f"{ours}/norm{j}",
          f"{theirs}.conv{j}",
          f"{theirs}.bn{j}",
        )
      # Only there do the channels change: a bottleneck's first stage too.
      if i == 0 and (stage > 1 or config.block == "bottleneck"):
        entries |= _conv_norm(
          f"{ours}/downsample/conv",
          f"{ours}/downsample/norm",
          f"{theirs}.downsample.0",
          f"{theirs}.downsample.1",
        )
      number += 1
  entries["params/head/kernel"] = Entry("fc.weight", "dense")
  entries["params/head/bias"] = Entry("fc.bias")
  return entries


def detect(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
  """Infers the architecture from a state dict's names and shapes.

  Shapes cannot tell v1.5 from v1, which has the stride elsewhere.

  Args:
    shapes: {source name: shape}.

  Returns:
    `stage_sizes`, `block`, `width`, `stem`, `in_channels` and `num_classes`
    (None without `fc.weight`); or None if this is no ResNet that jft has, such
    as another family, a ResNeXt or a wide ResNet.
  """
  stem = tuple(shapes.get("conv1.weight", ()))
  sizes = _stage_sizes(shapes)
  if len(stem) != 4 or stem[2:] not in ((7, 7), (3, 3)) or not sizes:
    return None
  block = "bottleneck" if "layer1.0.conv3.weight" in shapes else "basic"
  width, channels = stem[:2]
  for stage, blocks in enumerate(sizes):
    for i in range(blocks):
      for j, shape in enumerate(_kernels(block, width, stage, i), 1):
        name = f"layer{stage + 1}.{i}.conv{j}.weight"
        if tuple(shapes.get(name, ())) != shape:
          return None
  head = shapes.get("fc.weight")
  return {
    "stage_sizes": sizes,
    "block": block,
    "width": width,
    "stem": "imagenet" if stem[2] == 7 else "small",
    "in_channels": channels,
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
      f" {', '.join(list(shapes)[:3])}. Give the arch that it was made for;"
      " ResNeXt and wide ResNets are not supported."
    )
  fields = ("stage_sizes", "block", "width", "stem")
  wrong = [name for name in fields if getattr(config, name) != found[name]]
  if wrong:
    raise UserError(
      "the file holds another ResNet than the arch that was asked for:"
      f" {_listing(found, wrong)}, expected"
      f" {_listing({name: getattr(config, name) for name in wrong}, wrong)}."
      " Change the arch, or give the file that fits it."
    )


def _conv_norm(
  conv: str, norm: str, source_conv: str, source_norm: str
) -> dict[str, Entry]:
  return {
    f"params/{conv}/kernel": Entry(f"{source_conv}.weight", "conv"),
    f"params/{norm}/scale": Entry(f"{source_norm}.weight"),
    f"params/{norm}/bias": Entry(f"{source_norm}.bias"),
    f"batch_stats/{norm}/mean": Entry(f"{source_norm}.running_mean"),
    f"batch_stats/{norm}/var": Entry(f"{source_norm}.running_var"),
  }


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


def _kernels(
  block: str, width: int, stage: int, i: int
) -> list[tuple[int, ...]]:
  """Returns the kernel shapes of block i of a stage (both from 0), OIHW."""
  expansion = 4 if block == "bottleneck" else 1
  planes = width * 2**stage
  if i > 0:
    inputs = planes * expansion
  else:
    inputs = width if stage == 0 else planes * expansion // 2
  channels = [inputs] + [planes] * len(_CONVS[block])
  channels[-1] *= expansion
  return [
    (channels[j + 1], channels[j], size, size)
    for j, size in enumerate(_CONVS[block])
  ]


def _preprocessing(config: Any) -> Preprocessing:
  size = 224 if config.stem == "imagenet" else 32
  if config.in_channels == 3:
    return Preprocessing(size)
  grey = (0.5,) * config.in_channels
  return Preprocessing(size, grey, grey)


TORCHVISION = Dialect(
  "torchvision",
  fits=lambda shapes: "conv1.weight" in shapes and "bn1.weight" in shapes,
  table=lambda config, shapes: table(config),
  dropped=lambda config: DROPPED,
  head=r"fc\.(weight|bias)",
  check=check,
  preprocessing=_preprocessing,
)

DIALECTS = (TORCHVISION,)


def _listing(values: Mapping[str, Any], names: list[str]) -> str:
  return ", ".join(f"{name}={values[name]!r}" for name in names)
