"""ResNet: jft's names to those of Hugging Face transformers."""

from typing import Any

from jft.pretrained.dialect import Dialect, Shapes
from jft.pretrained.layouts import Entry
from jft.pretrained.names.resnet_places import (
  Config,
  Place,
  places,
  torch_entries,
)
from jft.pretrained.names.torch import TORCH_DROPPED
from jft.pretrained.preprocessing import Preprocessing

_ANCHOR = "embedder.embedder.convolution.weight"


def table(config: Config, shapes: Shapes) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in a state dict}.

  Args:
    config: of the network.
    shapes: the source's; none for what ResNetForImageClassification saves.

  Source: transformers.ResNetForImageClassification.state_dict.
  """
  root = "" if _ANCHOR in shapes else "resnet."  # a bare ResNetModel's file
  entries = {}
  for place in places(config):
    at = root + _module(place)
    entries |= torch_entries(place, f"{at}.convolution", f"{at}.normalization")
  entries["params/head/kernel"] = Entry("classifier.1.weight", "dense")
  entries["params/head/bias"] = Entry("classifier.1.bias")
  return entries


def _module(place: Place) -> str:
  if place.stage < 0:
    return "embedder.embedder"
  layer = f"encoder.stages.{place.stage}.layers.{place.block}"
  if place.index < 0:
    return f"{layer}.shortcut"
  return f"{layer}.layer.{place.index}"


def _preprocessing(config: Any) -> Preprocessing:
  del config
  return Preprocessing(224, resize="bicubic")


HF = Dialect(
  "hf",
  fits=lambda shapes: any(name.endswith(_ANCHOR) for name in shapes),
  table=table,
  dropped=lambda config: TORCH_DROPPED,
  head=r"classifier\.1\.(weight|bias)",
  preprocessing=_preprocessing,
)
