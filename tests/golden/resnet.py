"""The ResNets of the goldens that make_resnet.py records."""

import functools

from golden import vision, weights
from golden.vision import OPTIONS, assert_close, read

from jft.models import resnet
from jft.pretrained.names import resnet as names
from jft.pretrained.names import resnet_hf, resnet_keras

__all__ = ["OPTIONS", "assert_close", "read"]

_SHALLOW = (1, 1, 1, 1)
CONFIGS = resnet.PRESETS | {
  "resnet_shallow": resnet.Config(_SHALLOW, "bottleneck"),
  "resnext_shallow": resnet.Config(
    _SHALLOW, "bottleneck", groups=32, group_width=4
  ),
  "wide_shallow": resnet.Config(_SHALLOW, "bottleneck", group_width=128),
  "deep_shallow": resnet.Config(
    _SHALLOW, "bottleneck", stem="deep", shortcut="avg_pool"
  ),
  "deep_basic": resnet.Config(_SHALLOW, stem="deep", shortcut="avg_pool"),
  "tiny": resnet.Config((1, 1), "bottleneck", width=4, stem="small"),
}

OTHERS = {
  "hf_basic": (resnet.Config((1, 2), width=16), resnet_hf.HF),
  "hf_bottleneck": (resnet.Config((1, 2), "bottleneck", 16), resnet_hf.HF),
  "hf_strided": (
    resnet.Config((2, 1), "bottleneck", 16, strided="1x1"),
    resnet_hf.HF,
  ),
  "keras_resnet": (resnet.Config((1, 2), "bottleneck"), resnet_keras.KERAS),
}
"""Those in other projects' names: {name: (config, dialect)}."""

ODD = ("deep_shallow", "deep_basic")
"""On images whose maps have odd sides, for the mean of the shortcut."""


@functools.cache
def case(arch):
  """Returns a golden's model."""
  config, dialect = OTHERS.get(arch, (CONFIGS.get(arch), names.TORCHVISION))
  return vision.Case(
    dialect.adjust(config),
    resnet.module,
    resnet.Block,
    dialect,
    size=72 if arch in ODD else 64,
  )


@functools.cache
def target(arch, num_classes=weights.CLASSES):
  """Returns {name: shape and dtype} of a model's variables."""
  return case(arch).target(num_classes)


def source_shapes(arch, num_classes=weights.CLASSES):
  """Returns {source name: shape} of the state dict that fits a model."""
  return case(arch).source_shapes(num_classes)


def drawn(arch):
  """Returns a model's variables, drawn under their source names."""
  return case(arch).drawn()


def evaluated(arch, seed=0):
  """Returns what is recorded of inference."""
  return case(arch).evaluated(seed)


def trained(arch, seed=0, dtype="float32"):
  """Returns what is recorded of training."""
  return case(arch).trained(seed, dtype)
