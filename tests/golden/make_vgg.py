"""Makes tests/golden/*vgg*.npz: what torchvision, timm and Keras compute.

  cd tests && KERAS_BACKEND=torch python -m golden.make_vgg

needs torch, torchvision, timm and keras (every file records the versions). The
widths are scaled down; the code that runs is the originals'.
"""

import itertools
import sys

import torch
from golden import make_resnet, reference, weights

vgg = make_resnet.torchvision.models.vgg
version_of = make_resnet.version_of

TORCHVISION = {
  "vgg_small": ([8, "M", 16, "M", 32, 32, "M", 64, 64, "M", 64, "M"], False),
  "vgg_bn_small": ([8, "M", 16, 16, "M"], True),
}
GOLDENS = (*TORCHVISION, "keras_vgg")
LIVE = (*GOLDENS, "timm_vgg")
SIZES = {"vgg_bn_small": 40}
"""Of images; those of the others have 64 pixels a side."""
PRESETS = tuple(
  f"vgg{layers}{kind}" for layers in (11, 13, 16, 19) for kind in ("", "_bn")
)


class Small(vgg.VGG):
  """torchvision's layers with a classifier of any width, without dropout."""

  def __init__(self, plan, norm, hidden):
    torch.nn.Module.__init__(self)
    self.features = vgg.make_layers(plan, batch_norm=norm)
    self.avgpool = torch.nn.AdaptiveAvgPool2d((7, 7))
    self.classifier = torch.nn.Sequential(
      torch.nn.Linear(plan[-2] * 49, hidden),
      torch.nn.ReLU(),
      torch.nn.Dropout(0),
      torch.nn.Linear(hidden, hidden),
      torch.nn.ReLU(),
      torch.nn.Dropout(0),
      torch.nn.Linear(hidden, weights.CLASSES),
    )


def record(arch, seed=0):
  """Returns everything that is compared, by name."""
  if arch == "keras_vgg":
    return _keras_record(seed)
  if arch == "timm_vgg":
    from timm.models.vgg import VGG

    model = VGG(TORCHVISION["vgg_small"][0], num_classes=weights.CLASSES)
    head = model.head.fc
  else:
    model = Small(*TORCHVISION[arch], 32)
    head = model.classifier[6]
  layers = [*model.features, None]
  blocks = [
    layer
    for layer, after in itertools.pairwise(layers)
    if isinstance(layer, torch.nn.MaxPool2d)
    or (
      isinstance(layer, torch.nn.ReLU)
      and not isinstance(after, torch.nn.MaxPool2d)
    )
  ]
  return reference.record(
    model, blocks, head, size=SIZES.get(arch, 64), seed=seed
  )


def _keras_record(seed):
  import keras

  keras.backend.set_floatx("float64")
  whole = keras.applications.VGG16(
    weights=None,
    input_shape=(64, 64, 3),
    classes=weights.CLASSES,
    classifier_activation=None,
  )
  config = whole.get_config()
  for layer in config["layers"]:
    layer.pop("build_config", None)  # has the shapes of the whole model
    for width in ("filters", "units"):
      if width in layer["config"] and layer["config"]["name"] != "predictions":
        layer["config"][width] //= 8 if width == "filters" else 128
  model = keras.Model.from_config(config)
  blocks = []
  for stage, size in enumerate((2, 2, 3, 3, 3), 1):
    blocks += [f"block{stage}_conv{i}" for i in range(1, size)]
    blocks.append(f"block{stage}_pool")
  return reference.keras_record(model, blocks, "fc2", seed=seed)


def facts(arch):
  """Returns the digest of torchvision's preset, and its parameters."""
  return reference.torch_facts(getattr(vgg, arch))


def timm_facts(arch):
  """Returns the same of timm's."""
  import timm

  return reference.torch_facts(lambda: timm.create_model(arch))


def main(archs) -> None:
  """Writes the goldens that are asked for, or all."""
  for arch in PRESETS:
    print(f'  "{arch}": ({facts(arch)}, "{timm_facts(arch)[0]}"),')
  for arch in archs or GOLDENS:
    origin = "keras" if "keras" in arch else "torchvision"
    reference.write(arch, f"{origin} {version_of(origin)}", record(arch))


if __name__ == "__main__":
  main(sys.argv[1:])
