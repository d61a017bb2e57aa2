"""VGG: jft's names to those of torchvision, timm and Keras.

A file of torchvision or Keras has the first dense layer's inputs in one axis:
channels first there, last here. jft's kernel keeps rows, columns and channels
apart, so that both are the same values in another order.
"""

import dataclasses
from typing import Any, Protocol

from jft.pretrained.dialect import Dialect, Shapes
from jft.pretrained.layouts import Entry, View
from jft.pretrained.names.keras import CAFFE, spelling
from jft.pretrained.names.torch import TORCH, TORCH_DROPPED
from jft.pretrained.preprocessing import Preprocessing
from jft.typing import Iterator


class Config(Protocol):
  """The fields read here; `jft.models.vgg.Config` has them all."""

  @property
  def stage_sizes(self) -> tuple[int, ...]: ...
  @property
  def norm(self) -> bool: ...
  @property
  def pooled(self) -> int: ...
  @property
  def hidden(self) -> int: ...
  def blocks(self) -> Iterator[tuple[int, int, int]]: ...


def table(config: Config, shapes: Shapes) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in a torchvision state dict}.

  Args:
    config: of the network.
    shapes: not needed.

  Source: torchvision.models.vgg.VGG.state_dict.
  """
  del shapes
  source, target = _flat(config)
  flat = View((config.hidden, source), (config.hidden, *target))
  return (
    _features(config)
    | {
      "params/fc1/kernel": Entry("classifier.0.weight", "conv", view=flat),
      "params/fc1/bias": Entry("classifier.0.bias"),
    }
    | TORCH.dense("fc2", "classifier.3")
    | TORCH.dense("head", "classifier.6")
  )


def timm_table(config: Config, shapes: Shapes) -> dict[str, Entry]:
  """Returns the same for timm, whose dense layers are convolutions.

  Source: timm.models.vgg.VGG.state_dict.
  """
  del shapes
  view = View((config.hidden, config.hidden, 1, 1), (config.hidden,) * 2)
  second = Entry("pre_logits.fc2.weight", "dense", view=view)
  return (
    _features(config)
    | TORCH.conv("fc1", "pre_logits.fc1", bias=True)
    | {"params/fc2/kernel": second}
    | {"params/fc2/bias": Entry("pre_logits.fc2.bias")}
    | TORCH.dense("head", "head.fc")
  )


def keras_table(config: Config, shapes: Shapes) -> dict[str, Entry]:
  """Returns the same for Keras.

  Source: keras.applications.vgg16 and vgg19.
  """
  source = spelling(shapes)
  entries = {}
  for i, (stage, number, _) in enumerate(config.blocks()):
    name = f"block{stage + 1}_conv{number + 1}"
    layout = "bgr" if i == 0 else "same"
    entries |= source.conv(
      f"block_{i:02d}/conv", name, bias=True, layout=layout
    )
  first = source.dense("fc1", "fc1")
  flat, (channels, *sides) = _flat(config)
  view = View((flat, config.hidden), (*sides, channels, config.hidden))
  first["params/fc1/kernel"] = dataclasses.replace(
    first["params/fc1/kernel"], view=view
  )
  entries |= first | source.dense("fc2", "fc2")
  return entries | source.dense("head", "predictions")


def _features(config: Config) -> dict[str, Entry]:
  """The convolutions, numbered with the ReLUs and pools between them."""
  entries, number = {}, 0
  for i, (stage, place, _) in enumerate(config.blocks()):
    ours = f"block_{i:02d}"
    entries |= TORCH.conv(f"{ours}/conv", f"features.{number}", bias=True)
    if config.norm:
      entries |= TORCH.norm(f"{ours}/norm", f"features.{number + 1}")
    number += 3 if config.norm else 2
    number += place == config.stage_sizes[stage] - 1
  return entries


def _flat(config: Config) -> tuple[int, tuple[int, int, int]]:
  """Returns how many inputs `fc1` has, and (channels, rows, columns)."""
  *_, (_, _, channels) = config.blocks()
  return channels * config.pooled**2, (channels, config.pooled, config.pooled)


def _keras(config: Any) -> Any:
  return dataclasses.replace(config, dropout=0.0)


TORCHVISION = Dialect(
  "torchvision",
  fits=lambda shapes: (
    {"features.0.weight", "classifier.0.weight"} <= shapes.keys()
  ),
  table=table,
  dropped=lambda config: TORCH_DROPPED,
  head=r"classifier\.6\.(weight|bias)",
  preprocessing=lambda config: Preprocessing(224),
)
TIMM = Dialect(
  "timm",
  fits=lambda shapes: "pre_logits.fc1.weight" in shapes,
  table=timm_table,
  dropped=lambda config: TORCH_DROPPED,
  head=r"head\.fc\.(weight|bias)",
  preprocessing=lambda config: Preprocessing(224),
)
KERAS = Dialect(
  "keras",
  fits=lambda shapes: "block1_conv1/kernel" in spelling(shapes).names,
  table=keras_table,
  dropped=lambda config: (),
  head=r"(.*/)?predictions/(kernel|bias)(:0)?",
  adjust=_keras,
  preprocessing=lambda config: CAFFE,
)

DIALECTS = (TORCHVISION, TIMM, KERAS)
