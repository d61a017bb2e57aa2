"""Makes tests/golden/*resnet*.npz and others: what the originals compute.

  cd tests && KERAS_BACKEND=torch python -m golden.make_resnet

needs torch, torchvision, timm, transformers and keras (every file records the
versions).
"""

import contextlib
import importlib
import sys

import torch
from golden import reference, weights


def import_torchvision():
  """Imports torchvision, also where its compiled operators are missing.

  It comes without them when installed with --no-deps beside another build of
  torch; importing it only needs their names, and no ResNet calls them.
  """
  library = torch.library.Library("torchvision", "FRAGMENT")
  for signature in (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
  ):
    with contextlib.suppress(RuntimeError):  # defined already
      library.define(signature)
  import torchvision

  return torchvision, library


torchvision, _LIBRARY = import_torchvision()
resnet = torchvision.models.resnet


class Small(resnet.ResNet):
  """torchvision's blocks behind a 3x3 stem without a pool, for any width."""

  def __init__(self, layers, width, channels, num_classes):
    torch.nn.Module.__init__(self)
    self._norm_layer = torch.nn.BatchNorm2d
    self.inplanes, self.dilation = width, 1
    self.groups, self.base_width = 1, 64
    self.conv1 = torch.nn.Conv2d(channels, width, 3, padding=1, bias=False)
    self.bn1 = torch.nn.BatchNorm2d(width)
    stages = []
    for i, blocks in enumerate(layers):
      planes, stride = width * 2**i, min(i, 1) + 1
      stage = self._make_layer(resnet.BasicBlock, planes, blocks, stride)
      self.add_module(f"layer{i + 1}", stage)
      stages.append(stage)
    self.fc = torch.nn.Linear(self.inplanes, num_classes)
    self.stages = stages

  def forward(self, x):
    x = torch.relu(self.bn1(self.conv1(x)))
    for stage in self.stages:
      x = stage(x)
    return self.fc(x.mean((2, 3)))


SHALLOW = [1, 1, 1, 1]
TORCHVISION = {
  "resnet_shallow": {},
  "resnext_shallow": {"groups": 32, "width_per_group": 4},
  "wide_shallow": {"width_per_group": 128},
}
TIMM = {"deep_shallow": "Bottleneck", "deep_basic": "BasicBlock"}
HF = {
  "hf_basic": ((1, 2), "basic", {}),
  "hf_bottleneck": ((1, 2), "bottleneck", {}),
  "hf_strided": ((2, 1), "bottleneck", {"downsample_in_bottleneck": True}),
}
GOLDENS = (
  *("resnet18", "resnet50", "resnet14_small", *TORCHVISION, *TIMM, *HF),
  "keras_resnet",
)
PRESETS = (
  *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
  *("wide_resnet50_2", "wide_resnet101_2"),
  *("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"),
  *("resnet18d", "resnet26d", "resnet34d", "resnet50d", "resnet101d"),
  "resnet152d",
)


def make(arch: str) -> torch.nn.Module:
  """Returns the original of an architecture."""
  if arch == "resnet14_small":
    return Small((2, 2, 2), 16, 1, weights.CLASSES)
  if arch in TORCHVISION:
    return resnet.ResNet(
      resnet.Bottleneck, SHALLOW, weights.CLASSES, **TORCHVISION[arch]
    )
  if arch in TIMM:
    import timm.models.resnet as timm_resnet

    return timm_resnet.ResNet(
      getattr(timm_resnet, TIMM[arch]),
      SHALLOW,
      weights.CLASSES,
      stem_width=32,
      stem_type="deep",
      avg_down=True,
    )
  return getattr(resnet, arch)(num_classes=weights.CLASSES)


def record(arch: str, seed: int = 0):
  """Returns everything that is compared, by name."""
  if arch == "keras_resnet":
    return _keras_record(seed)
  if arch in HF:
    return _hf_record(arch, seed)
  model = make(arch)
  blocks = [
    block
    for name, stage in model.named_children()
    if name.startswith("layer")
    for block in stage
  ]
  return reference.record(
    model,
    blocks,
    model.fc,
    size=72 if arch in TIMM else 64,
    channels=1 if arch == "resnet14_small" else 3,
    seed=seed,
  )


def _hf_record(arch: str, seed: int):
  import transformers

  depths, layer_type, others = HF[arch]
  expansion = 4 if layer_type == "bottleneck" else 1
  config = transformers.ResNetConfig(
    embedding_size=16,
    hidden_sizes=[16 * expansion, 32 * expansion],
    depths=list(depths),
    layer_type=layer_type,
    num_labels=weights.CLASSES,
    **others,
  )
  model = transformers.ResNetForImageClassification(config)
  blocks = [
    layer for stage in model.resnet.encoder.stages for layer in stage.layers
  ]
  return reference.record(model, blocks, model.classifier[1], seed=seed)


def _keras_record(seed: int):
  import keras

  keras.backend.set_floatx("float64")
  kind = keras.src.applications.resnet

  def stages(x):
    x = kind.stack_residual_blocks_v1(x, 64, 1, stride1=1, name="conv2")
    return kind.stack_residual_blocks_v1(x, 128, 2, name="conv3")

  model = kind.ResNet(
    stages,
    preact=False,
    use_bias=True,
    weights=None,
    input_shape=(64, 64, 3),
    classes=weights.CLASSES,
    classifier_activation=None,
  )
  blocks = [f"conv{i}_block{j}_out" for i, j in ((2, 1), (3, 1), (3, 2))]
  return reference.keras_record(model, blocks, "avg_pool", seed=seed)


def reference_of(arch: str) -> str:
  """Returns whose code an architecture's original is."""
  if arch == "keras_resnet":
    return "keras"
  if arch in HF:
    return "transformers"
  deep = arch in TIMM or (arch.endswith("d") and "resnext" not in arch)
  return "timm" if deep else "torchvision"


def version_of(name: str) -> str:
  """Returns the versions of a reference's code and of torch."""
  module = importlib.import_module(name)
  return f"{module.__version__}, torch {torch.__version__}"


def facts(arch: str) -> tuple[str, int]:
  """Returns the digest of a preset's names and shapes, and its parameters."""
  if reference_of(arch) == "timm":
    import timm

    return reference.torch_facts(lambda: timm.create_model(arch))
  return reference.torch_facts(getattr(resnet, arch))


def main(archs) -> None:
  """Writes the goldens that are asked for, or all."""
  for arch in PRESETS:
    print(f'  "{arch}": {facts(arch)},')
  for arch in archs or GOLDENS:
    versions = f"{reference_of(arch)} {version_of(reference_of(arch))}"
    reference.write(arch, versions, record(arch))


if __name__ == "__main__":
  main(sys.argv[1:])
