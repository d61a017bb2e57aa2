"""Makes tests/golden/*densenet*.npz: what torchvision and Keras compute.

  cd tests && KERAS_BACKEND=torch python -m golden.make_densenet

needs torch, torchvision and keras (every file records the versions).
"""

import sys

import torch
from golden import make_resnet, reference, weights

densenet = make_resnet.torchvision.models.densenet
version_of = make_resnet.version_of

GOLDENS = ("densenet_small", "keras_densenet")
PRESETS = tuple(f"densenet{layers}" for layers in (121, 161, 169, 201))


def record(arch, seed=0):
  """Returns everything that is compared, by name."""
  if arch == "keras_densenet":
    return _keras_record(seed)
  if arch == "densenet_small":
    model = densenet.DenseNet(8, (2, 1, 2), 16, num_classes=weights.CLASSES)
  else:
    model = getattr(densenet, arch)(num_classes=weights.CLASSES)
  blocks = [
    layer
    for name, stage in model.features.named_children()
    if name.startswith("denseblock")
    for layer in stage.values()
  ]
  return reference.record(
    model,
    blocks,
    model.classifier,
    size=72,  # maps of 18, 9 and 4: the pool leaves out a row and a column
    seed=seed,
    keep=lambda given, out: torch.cat([*given[0], out], 1),
  )


def _keras_record(seed):
  import keras

  keras.backend.set_floatx("float64")
  model = keras.src.applications.densenet.DenseNet(
    [1, 2, 1, 1],
    weights=None,
    input_shape=(72, 72, 3),
    classes=weights.CLASSES,
    classifier_activation=None,
  )
  blocks = [
    f"conv{stage}_block{number}_concat"
    for stage, number in ((2, 1), (3, 1), (3, 2), (4, 1), (5, 1))
  ]
  return reference.keras_record(
    model, blocks, "avg_pool", size=72, seed=seed, flip=False
  )


def facts(arch):
  """Returns the digest of torchvision's preset, and its parameters."""
  return reference.torch_facts(getattr(densenet, arch))


def keras_facts(layers):
  """Returns the same of Keras' preset of so many layers."""
  import keras

  model = getattr(keras.applications, f"DenseNet{layers}")(weights=None)
  shapes = {f"{v.path}:0": tuple(v.shape) for v in model.variables}
  count = sum(v.value.numel() for v in model.trainable_variables)
  return reference.digest(shapes), count


def main(archs) -> None:
  """Writes the goldens that are asked for, or all."""
  for arch in PRESETS:
    print(f'  "{arch}": {facts(arch)},')
  for layers in (121, 169, 201):
    print(f'  "densenet{layers}": {keras_facts(layers)},')
  for arch in archs or GOLDENS:
    origin = "keras" if "keras" in arch else "torchvision"
    reference.write(arch, f"{origin} {version_of(origin)}", record(arch))


if __name__ == "__main__":
  main(sys.argv[1:])
