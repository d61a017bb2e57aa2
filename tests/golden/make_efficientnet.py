"""Makes efficientnet.npz: what five projects' EfficientNets compute.

  cd tests && KERAS_BACKEND=torch python -m golden.make_efficientnet

needs torch, torchvision, timm, transformers, keras, efficientnet_pytorch and
efficientnet_lite_pytorch. Everything runs in float64. All but the presets are
small: half of the width, eight blocks. (At a quarter the first block would put
out as many channels as it reads, and projects differ in whether it is skipped.)
"""

import functools

# First: it declares torchvision's missing operators, and timm imports it.
from golden.make_resnet import torchvision  # isort: skip

import efficientnet_lite_pytorch
import efficientnet_pytorch
import keras
import numpy as np
import timm
import torch
import transformers
from efficientnet_lite_pytorch import utils as lite_utils
from efficientnet_pytorch import utils as lukemelas_utils
from golden import keras_nets, packed, torch_nets, weights
from golden.torch_nets import Original, in_stages
from timm.models import efficientnet as timm_net

WIDTH, DEPTH, SIZE = 0.5, 0.3, 72
B = [f"efficientnet_b{i}" for i in range(8)]
LITE = [f"efficientnet_lite{i}" for i in range(5)]
TENSORFLOW = [f"tf_{name}" for name in B + LITE]
VERSIONS = (
  f"torch {torch.__version__}, torchvision {torchvision.__version__},"
  f" timm {timm.__version__}, transformers {transformers.__version__},"
  f" keras {keras.__version__}, efficientnet_pytorch 0.7.1,"
  " efficientnet_lite_pytorch 0.1.0"
)


def from_timm(lite=False, **options):
  make = timm_net._gen_efficientnet_lite if lite else timm_net._gen_efficientnet
  return make(
    "efficientnet_lite0" if lite else "efficientnet_b0",
    channel_multiplier=WIDTH,
    depth_multiplier=DEPTH,
    num_classes=weights.CLASSES,
    **options,
  )


def from_torchvision():
  net = torchvision.models.efficientnet
  setting, last = net._efficientnet_conf(
    "efficientnet_b0", width_mult=WIDTH, depth_mult=DEPTH
  )
  return net.EfficientNet(
    setting, 0.0, 0.0, num_classes=weights.CLASSES, last_channel=last
  )


def from_lukemelas(name, size=SIZE, **options):
  lite = "lite" in name
  package = efficientnet_lite_pytorch if lite else efficientnet_pytorch
  utils = lite_utils if lite else lukemelas_utils
  name = name.replace("_", "-")
  blocks, settings = utils.get_model_params(name, {})
  # Whatever drops at random is off, here and below.
  off = {"dropout_rate": 0.0, "drop_connect_rate": 0.0}
  options = {"image_size": size} | off | options
  return package.EfficientNet(blocks, settings._replace(**options))


def from_hf(**options):
  config = transformers.EfficientNetConfig(
    dropout_rate=0.0, drop_connect_rate=0.0, **options
  )
  model = transformers.EfficientNetForImageClassification(config)
  return torch_nets.with_momentum(model, 0.99)


def from_keras():
  keras.config.set_floatx("float64")
  model = keras.src.applications.efficientnet.EfficientNet(
    WIDTH,
    DEPTH,
    SIZE,
    dropout_rate=0.0,
    drop_connect_rate=0.0,
    weights=None,
    classes=weights.CLASSES,
    classifier_activation=None,
    weights_name="",
  )
  mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
  for layer in model.layers:
    if isinstance(layer, keras.layers.Normalization):
      layer.mean, layer.variance = (
        keras.ops.convert_to_tensor(x.reshape(1, 1, 1, 3))
        for x in (mean, std**2)
      )
  return model, mean, std


def keras_record(seed=0, *, train=True):
  model, mean, std = from_keras()
  pixels = (packed.pictures(SIZE, seed) * std + mean) * 255
  blocks = keras_nets.ends(model, r"block\d[a-z]")
  return keras_nets.record(model, blocks, pixels, seed, train=train)


def keras_preset(name):
  make = getattr(keras.applications, f"EfficientNetB{name[-1]}")
  return make(weights=None)


# Width, depth, pixels; transformers has no such table.
HF = {
  f"efficientnet_b{i}": lukemelas_utils.efficientnet_params(
    f"efficientnet-b{i}"
  )
  for i in range(8)
}


def hf_preset(name):
  width, depth, size, _ = HF[name]
  return from_hf(
    width_coefficient=width,
    depth_coefficient=depth,
    image_size=size,
    hidden_dim=int(1280 * width),
    num_labels=1000,
  )


def _small_hf():
  return from_hf(
    width_coefficient=WIDTH,
    depth_coefficient=DEPTH,
    image_size=SIZE,
    # 72, 36, 18, 9, 5 pixels: the last strided block reads 5.
    depthwise_padding=[3, 5],
    hidden_dim=640,
    num_labels=weights.CLASSES,
  )


def _small_lukemelas(name):
  return from_lukemelas(
    name,
    width_coefficient=WIDTH,
    depth_coefficient=DEPTH,
    num_classes=weights.CLASSES,
  )


def _torchvision_blocks(model):
  return [block for stage in model.features[1:-1] for block in stage]


ORIGINALS = {
  "timm": Original("timm", from_timm, in_stages),
  "timm_tf": Original(
    "timm",
    functools.partial(from_timm, pad_type="same", bn_eps=1e-3),
    in_stages,
  ),
  "timm_lite": Original(
    "timm", functools.partial(from_timm, lite=True), in_stages
  ),
  "torchvision": Original("torchvision", from_torchvision, _torchvision_blocks),
  "lukemelas": Original(
    "efficientnet_pytorch",
    functools.partial(_small_lukemelas, "efficientnet_b0"),
    lambda model: model._blocks,
  ),
  "lukemelas_lite": Original(
    "efficientnet_lite_pytorch",
    functools.partial(_small_lukemelas, "efficientnet_lite0"),
    lambda model: model._blocks,
  ),
  "hf": Original(
    "transformers", _small_hf, lambda model: model.efficientnet.encoder.blocks
  ),
  "keras": Original("keras", None, None),
}
REAL = {
  name: Original(
    "timm",
    functools.partial(timm.create_model, name, num_classes=weights.CLASSES),
    in_stages,
  )
  for name in ("efficientnet_b0", "tf_efficientnet_lite0")
}


def record(name, seed=0, *, train=True):
  """Returns what is compared of one case."""
  if name == "keras":
    return keras_record(seed, train=train)
  return (ORIGINALS | REAL)[name].record(SIZE, seed, train=train)


def reference_of(layout, preset):
  """Returns whose code makes a preset."""
  if layout == "lukemelas":
    lite = "lite_" if "lite" in preset else ""
    return f"efficientnet_{lite}pytorch"
  return "transformers" if layout == "hf" else layout


def facts(layout):
  """Returns {preset: [parameters, digest of names and shapes]}."""
  if layout == "keras":
    return keras_nets.facts(keras_preset, B)
  make, presets = {
    "timm": (timm.create_model, B + LITE + TENSORFLOW),
    "torchvision": (lambda name: getattr(torchvision.models, name)(), B),
    "lukemelas": (functools.partial(from_lukemelas, size=224), B + LITE),
    "hf": (hf_preset, B),
  }[layout]
  return torch_nets.facts(make, presets)


LAYOUTS = ("timm", "torchvision", "lukemelas", "hf", "keras")


def main():
  packed.write(
    "efficientnet",
    {name: record(name, train=name == "timm") for name in ORIGINALS},
    {layout: facts(layout) for layout in LAYOUTS},
    VERSIONS,
  )


if __name__ == "__main__":
  main()
