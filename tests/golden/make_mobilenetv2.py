"""Makes mobilenetv2.npz: what four projects' MobileNetV2s compute.

  cd tests && KERAS_BACKEND=torch python -m golden.make_mobilenetv2

needs torch, torchvision, timm, transformers and keras. Everything runs in
float64, at 0.35 of the width.
"""

# First: it declares torchvision's missing operators, and timm imports it.
from golden.make_resnet import torchvision  # isort: skip

import keras
import numpy as np
import timm
import torch
import transformers
from golden import keras_nets, packed, torch_nets, weights

WIDTH, SIZE = 0.35, 72
WIDTHS = {
  f"mobilenetv2_{round(100 * width):03d}": width
  for width in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
}
IN_TIMM = [name for name in WIDTHS if name != "mobilenetv2_130"]
DEEP = ["mobilenetv2_110d", "mobilenetv2_120d"]
VERSIONS = (
  f"torch {torch.__version__}, torchvision {torchvision.__version__},"
  f" timm {timm.__version__}, transformers {transformers.__version__},"
  f" keras {keras.__version__}"
)


def from_timm(**options):
  return timm.create_model(
    "mobilenetv2_035", num_classes=weights.CLASSES, **options
  )


def from_torchvision(width=WIDTH, classes=weights.CLASSES):
  return torchvision.models.mobilenet_v2(width_mult=width, num_classes=classes)


def from_hf(width=WIDTH, classes=weights.CLASSES):
  config = transformers.MobileNetV2Config(
    depth_multiplier=width, num_labels=classes
  )
  return transformers.MobileNetV2ForImageClassification(config)


def from_keras(width, size=224, classes=1000):
  return keras.applications.MobileNetV2(
    input_shape=(size, size, 3),
    alpha=width,
    weights=None,
    classes=classes,
    classifier_activation=None,
  )


def keras_record():
  keras.config.set_floatx("float64")
  model = from_keras(WIDTH, SIZE, weights.CLASSES)
  keras_nets.fill(model)
  image = packed.pictures(SIZE)
  return {"logits": np.asarray(model(image, training=False).detach())}


def records():
  """Returns {case: what is compared}."""
  image = torch_nets.images(SIZE)

  def run(model, blocks, logits=lambda out: out):
    model = torch_nets.filled(model)
    return torch_nets.evaluated(model, image, blocks(model), logits)

  def in_stages(model):
    return [block for stage in model.blocks for block in stage]

  net = torch_nets.filled(from_timm())
  return {
    "timm": torch_nets.evaluated(net, image, in_stages(net))
    | torch_nets.trained(net, image),
    "timm_same": run(from_timm(pad_type="same", bn_eps=1e-3), in_stages),
    "torchvision": run(from_torchvision(), lambda m: m.features[1:-1]),
    "hf": run(
      from_hf(),
      lambda m: [m.mobilenet_v2.conv_stem, *m.mobilenet_v2.layer],
      lambda out: out.logits,
    ),
    "keras": keras_record(),
  }


def main():
  presets = {
    "timm": torch_nets.facts(timm.create_model, IN_TIMM + DEEP),
    "torchvision": torch_nets.facts(
      lambda name: from_torchvision(WIDTHS[name], 1000), WIDTHS
    ),
    "hf": torch_nets.facts(lambda name: from_hf(WIDTHS[name], 1000), WIDTHS),
    "keras": keras_nets.facts(lambda name: from_keras(WIDTHS[name]), WIDTHS),
  }
  packed.write("mobilenetv2", records(), presets, VERSIONS)


if __name__ == "__main__":
  main()
