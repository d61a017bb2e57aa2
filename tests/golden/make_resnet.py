"""Makes tests/golden/resnet*.npz: what torchvision's ResNets compute.

  cd tests && python -m golden.make_resnet

needs torch and torchvision (2.13.0 and 0.28.0 when last run; every file
records its own). The reference runs in float64 on float32 weights and inputs,
so all rounding in a comparison is that of the code under test.
"""

import contextlib
import hashlib
import pathlib

import numpy as np
import torch
from golden import weights


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


def make(arch: str) -> torch.nn.Module:
  """Returns the original of an architecture, in float64."""
  if arch == "resnet14_small":
    model = Small((2, 2, 2), 16, 1, weights.CLASSES)
  elif arch == "resnet_shallow":
    model = resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1], weights.CLASSES)
  else:
    model = getattr(resnet, arch)(num_classes=weights.CLASSES)
  return model.double()


def record(arch: str, seed: int = 0) -> dict[str, np.ndarray]:
  """Returns everything that is compared, by name."""
  model = make(arch)
  model.load_state_dict(
    {
      name: torch.from_numpy(weights.draw(name, tuple(tensor.shape), seed))
      for name, tensor in model.state_dict().items()
      if not name.endswith("num_batches_tracked")
    },
    strict=False,
  )
  image = torch.from_numpy(weights.images(model.conv1.in_channels, seed))
  image = image.permute(0, 3, 1, 2).double()
  return _evaluated(model.eval(), image) | _trained(model.train(), image)


def _evaluated(model, image) -> dict[str, np.ndarray]:
  kept = []
  blocks = [
    block
    for name, stage in model.named_children()
    if name.startswith("layer")
    for block in stage
  ]
  hooks = [
    block.register_forward_hook(lambda _, __, out: kept.append(out))
    for block in blocks
  ]
  with torch.no_grad():
    logits = model(image)
  for hook in hooks:
    hook.remove()
  result = {
    f"block_{i:02d}": np.append(
      weights.summary("block", out.numpy(), 8), out.abs().mean().item()
    )
    for i, out in enumerate(kept)
  }
  pooled = kept[-1].mean((2, 3))
  return result | {"logits": logits.numpy(), "features": pooled.numpy()}


def _trained(model, image) -> dict[str, np.ndarray]:
  logits = model(image)
  labels = torch.arange(len(image))
  torch.nn.functional.cross_entropy(logits, labels).backward()
  result = {"train/logits": logits.detach().numpy()}
  for name, parameter in model.named_parameters():
    gradient = parameter.grad.numpy()
    result[f"grad/{name}"] = weights.summary(name, gradient)
  for name, buffer in model.named_buffers():
    if "running" in name:
      result[f"stats/{name}"] = weights.summary(name, buffer.numpy())
  return result


def digest(arch: str) -> str:
  """Returns the hash of a state dict's names and shapes (1000 classes)."""
  with torch.device("meta"):
    state = getattr(resnet, arch)().state_dict()
  rows = sorted(f"{name} {tuple(x.shape)}" for name, x in state.items())
  rows = [row for row in rows if "num_batches_tracked" not in row]
  return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:32]


def main() -> None:
  for layers in (18, 34, 50, 101, 152):
    print(f"resnet{layers} names and shapes: {digest(f'resnet{layers}')}")
  versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
  for arch in ("resnet18", "resnet50", "resnet14_small", "resnet_shallow"):
    path = pathlib.Path(__file__).with_name(f"{arch}.npz")
    np.savez_compressed(path, versions=np.array(versions), **record(arch))
    print(path.name, path.stat().st_size)


if __name__ == "__main__":
  main()
