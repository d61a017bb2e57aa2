"""ResNet: jft's names to those of keras.applications, today's and the first.

Keras' ResNets are v1: the stride is in a bottleneck's first 1x1 convolution.
Every convolution has a bias, and images are BGR with the mean subtracted, as
in the Caffe models that the weights came from.
"""

import dataclasses
from typing import Any

from jft.pretrained.dialect import Dialect, Shapes
from jft.pretrained.layouts import Entry
from jft.pretrained.names.keras import CAFFE, spelling
from jft.pretrained.names.resnet_places import Config, Place, places
from jft.typing import Callable


def table(config: Config, shapes: Shapes) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in Keras' variables}.

  Args:
    config: of the network.
    shapes: the source's, for how it spells the names.

  Source: keras.applications.resnet.
  """
  return _table(config, shapes, _names, "predictions")


def first_table(config: Config, shapes: Shapes) -> dict[str, Entry]:
  """Returns the same for the ResNet-50 of Keras 1 and 2.0 to 2.2.

  Source: keras_applications 1.0.6, resnet50.py.
  """
  return _table(config, shapes, _first_names, "fc1000")


def _table(
  config: Config,
  shapes: Shapes,
  names: Callable[[Place], tuple[str, str]],
  head: str,
) -> dict[str, Entry]:
  source = spelling(shapes)
  entries = {}
  for place in places(config):
    conv, norm = names(place)
    layout = "bgr" if place.stage < 0 else "same"
    entries |= source.conv(place.conv, conv, bias=True, layout=layout)
    entries |= source.norm(place.norm, norm)
  return entries | source.dense("head", head)


def _names(place: Place) -> tuple[str, str]:
  if place.stage < 0:
    return "conv1_conv", "conv1_bn"
  stem = f"conv{place.stage + 2}_block{place.block + 1}_{place.index + 1}"
  return f"{stem}_conv", f"{stem}_bn"


def _first_names(place: Place) -> tuple[str, str]:
  if place.stage < 0:
    return "conv1", "bn_conv1"
  block = f"{place.stage + 2}{chr(ord('a') + place.block)}"
  branch = "1" if place.index < 0 else f"2{'abc'[place.index]}"
  return f"res{block}_branch{branch}", f"bn{block}_branch{branch}"


def _adjusted(epsilon: float) -> Callable[[Any], Any]:
  def adjust(config: Any) -> Any:
    return dataclasses.replace(
      config,
      strided="1x1",
      conv_bias=True,
      norm_eps=epsilon,
      norm_momentum=0.99,
    )

  return adjust


KERAS = Dialect(
  "keras",
  fits=lambda shapes: "conv1_conv/kernel" in spelling(shapes).names,
  table=table,
  dropped=lambda config: (),
  head=r"(.*/)?predictions/(kernel|bias)(:0)?",
  adjust=_adjusted(1.001e-5),
  preprocessing=lambda config: CAFFE,
)

FIRST = Dialect(
  "keras_first",
  fits=lambda shapes: "res2a_branch2a/kernel" in spelling(shapes).names,
  table=first_table,
  dropped=lambda config: (),
  head=r"(.*/)?fc1000/(kernel|bias)(:0)?",
  adjust=_adjusted(1e-3),
  preprocessing=lambda config: CAFFE,
)
