"""The variables of a Keras model in the order in which it has its layers.

`load_weights` goes by that order alone.
"""

import re

import numpy as np

from jft.spec import Spec
from jft.typing import Mapping

_WEIGHTS = ("kernel", "depthwise_kernel", "gamma", "bias", "beta")
_WEIGHTS += ("moving_mean", "moving_variance")


def in_order(
  arrays: Mapping[str, np.ndarray], spec: Spec
) -> dict[str, np.ndarray]:
  """Returns all variables of a model of keras.applications, in its order.

  Args:
    arrays: {"layer/variable:0": array}, as jft's tables list them.
    spec: of the network.

  >>> names = ["fc/bias:0", "fc/kernel:0"]
  >>> list(in_order(dict.fromkeys(names, np.zeros(1)), Spec("", "", "", 0, 1)))
  ['fc/kernel:0', 'fc/bias:0']
  """
  layers = list(dict.fromkeys(name.partition("/")[0] for name in arrays))
  if spec.family == "resnet":
    layers.sort(key=_resnet_key)
  elif spec.family in ("mobilenetv2", "efficientnet"):
    layers.sort(key=_inverted_key)
  elif spec.family == "densenet":
    layers.sort(key=_densenet_key)
  found = {
    name: _float32(arrays[name])
    for layer in layers
    for name in sorted(
      (n for n in arrays if n.partition("/")[0] == layer), key=_weight_key
    )
  }
  if spec.family != "efficientnet":
    return found
  # Keras' net normalises its images itself: (x / 255 - mean) / √variance.
  normalization = {
    "normalization/mean:0": np.asarray(spec.mean, np.float32),
    "normalization/variance:0": np.asarray(spec.std, np.float32) ** 2,
    "normalization/count:0": np.zeros((), np.int32),
  }
  return normalization | found


def _float32(array: np.ndarray) -> np.ndarray:
  return array.astype(np.float32)


def _weight_key(name: str) -> int:
  return _WEIGHTS.index(name.partition("/")[2].removesuffix(":0"))


def _resnet_key(layer: str) -> tuple[int, ...]:
  found = re.fullmatch(r"conv(\d+)_block(\d+)_(\d)_(conv|bn)", layer)
  if found is None:
    return (0,) if layer.startswith("conv1") else (99,)
  stage, block, index = (int(found[i]) for i in (1, 2, 3))
  # The shortcut stands beside the last convolution, before it.
  place = 3 if index == 0 else index
  norm = found[4] == "bn"
  return stage, block, place, norm, index


def _inverted_key(layer: str) -> tuple[int, ...]:
  if layer in ("Conv1", "bn_Conv1", "stem_conv", "stem_bn"):
    return (-2,)
  if layer.startswith(("Conv_1", "top_")):
    return (998,)
  if layer == "predictions":
    return (999,)
  found = re.match(r"block_(\d+)_|block(\d)([a-z])_", layer)
  if found is None:
    return (-1,)  # the first block of MobileNetV2
  if found[1]:
    return (int(found[1]),)
  return int(found[2]), ord(found[3])


def _densenet_key(layer: str) -> tuple[int, ...]:
  if layer.startswith("conv1_"):
    return (0,)
  if found := re.fullmatch(r"conv(\d+)_block(\d+)_(\d)_(conv|bn)", layer):
    stage, block, index = (int(found[i]) for i in (1, 2, 3))
    order = {(0, "bn"): 0, (1, "conv"): 1, (1, "bn"): 2, (2, "conv"): 3}
    return stage, block, order[index, found[4]]
  if found := re.fullmatch(r"pool(\d+)_(bn|conv)", layer):
    return int(found[1]), 999, int(found[2] == "conv")
  return (98,) if layer == "bn" else (99,)
