"""Makes mobilenetv2.npz: what four projects' MobileNetV2s compute.

  cd tests && KERAS_BACKEND=torch python -m golden.make_mobilenetv2

needs torch, torchvision, timm, transformers and keras. Everything runs in
float64, at 0.35 of the width.
"""

# First: it declares torchvision's missing operators, and timm imports it.
from golden.make_resnet import torchvision  # isort: skip

import functools

import keras
import timm
import torch
import transformers
from golden import keras_nets, packed, torch_nets, weights
from golden.torch_nets import Original, in_stages

WIDTH, SIZE = 0.35, 72
WIDTHS = {
  f"mobilenetv2_{round(100 * width):03d}": width
  for width in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
}
IN_TIMM = [name for name in WIDTHS if name != "mobilenetv2_130"]
DEEP = ["mobilenetv2_110d", "mobilenetv2_120d"]
TRAINED = ("timm", "keras")
"""Those whose training is in the file as well."""
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
  return torchvision.models.mobilenet_v2(
    width_mult=width, num_classes=classes, dropout=0.0
  )


def from_hf(width=WIDTH, classes=weights.CLASSES):
  config = transformers.MobileNetV2Config(
    depth_multiplier=width, num_labels=classes, classifier_dropout_prob=0.0
  )
  model = transformers.MobileNetV2ForImageClassification(config)
  return torch_nets.with_momentum(model, 0.997)


def from_keras(width, size=224, classes=1000):
  return keras.applications.MobileNetV2(
    input_shape=(size, size, 3),
    alpha=width,
    weights=None,
    classes=classes,
    classifier_activation=None,
  )


def keras_record(seed=0, *, train=True):
  keras.config.set_floatx("float64")
  model = from_keras(WIDTH, SIZE, weights.CLASSES)
  blocks = keras_nets.ends(model, r"expanded_conv|block_\d+")
  return keras_nets.record(
    model,
    blocks,
    packed.pictures(SIZE, seed),
    seed,
    train=train,
  )


def _torchvision_blocks(model):
  return model.features[1:-1]


ORIGINALS = {
  "timm": Original("timm", from_timm, in_stages),
  "timm_same": Original(
    "timm",
    functools.partial(from_timm, pad_type="same", bn_eps=1e-3),
    in_stages,
  ),
  "torchvision": Original("torchvision", from_torchvision, _torchvision_blocks),
  "hf": Original(
    "transformers",
    from_hf,
    lambda model: [model.mobilenet_v2.conv_stem, *model.mobilenet_v2.layer],
  ),
  "keras": Original("keras", None, None),
}
REAL = {
  "mobilenetv2_100": Original(
    "torchvision",
    functools.partial(from_torchvision, 1.0),
    _torchvision_blocks,
  ),
  "mobilenetv2_110d": Original(
    "timm",
    functools.partial(
      timm.create_model, "mobilenetv2_110d", num_classes=weights.CLASSES
    ),
    in_stages,
  ),
}


def record(name, seed=0, *, train=True):
  """Returns what is compared of one case."""
  if name == "keras":
    return keras_record(seed, train=train)
  return (ORIGINALS | REAL)[name].record(SIZE, seed, train=train)


def reference_of(layout, preset):
  """Returns whose code makes a preset."""
  del preset
  return "transformers" if layout == "hf" else layout


def facts(layout):
  """Returns {preset: [parameters, digest of names and shapes]}."""
  if layout == "keras":
    return keras_nets.facts(lambda name: from_keras(WIDTHS[name]), WIDTHS)
  make, presets = {
    "timm": (timm.create_model, IN_TIMM + DEEP),
    "torchvision": (lambda name: from_torchvision(WIDTHS[name], 1000), WIDTHS),
    "hf": (lambda name: from_hf(WIDTHS[name], 1000), WIDTHS),
  }[layout]
  return torch_nets.facts(make, presets)


LAYOUTS = ("timm", "torchvision", "hf", "keras")


def main():
  packed.write(
    "mobilenetv2",
    {name: record(name, train=name in TRAINED) for name in ORIGINALS},
    {layout: facts(layout) for layout in LAYOUTS},
    VERSIONS,
  )


if __name__ == "__main__":
  main()
