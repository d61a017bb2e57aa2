"""Runs the PyTorch originals of image models for the golden files."""

from typing import Any, NamedTuple

import torch
from golden import packed, weights


class Original(NamedTuple):
  """One project's model.

  Attributes:
    reference: the package whose code it is.
    make: () -> the model, for `weights.CLASSES` classes, dropping nothing.
    blocks: model -> the modules whose outputs are kept.
  """

  reference: str
  make: Any
  blocks: Any

  def record(self, size, seed=0, *, train=True):
    """Returns what is compared, by name.

    Args:
      size: of the images.
      seed: of weights and images.
      train: whether to record training as well.
    """
    model, image = filled(self.make(), seed), images(size, seed)
    found = evaluated(model, image, self.blocks(model))
    return found | trained(model, image) if train else found

  def rounded(self, size, seed=0):
    """Returns what it computes of inference in float32."""
    model, image = filled(self.make(), seed).float(), images(size, seed).float()
    return evaluated(model, image, self.blocks(model))


def in_stages(model):
  """Returns the blocks of timm's EfficientNets, in all stages."""
  return [block for stage in model.blocks for block in stage]


def filled(model, seed=0):
  """Returns the model in float64 with weights drawn by name."""
  state = {
    name: torch.from_numpy(packed.draw(name, tuple(tensor.shape), seed))
    for name, tensor in model.state_dict().items()
    if not name.endswith("num_batches_tracked")
  }
  model = model.double()
  missing, unexpected = model.load_state_dict(state, strict=False)
  assert not unexpected
  assert all(name.endswith("num_batches_tracked") for name in missing)
  return model.eval()


def with_momentum(model, kept):
  """Returns the model, whose BatchNorms keep a share of their statistics.

  transformers gives TensorFlow's momentum, the share that is kept, to PyTorch,
  where it is the share that is replaced, and forgets some of the layers.

  Args:
    model: of PyTorch.
    kept: the share.
  """
  for module in model.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
      module.momentum = 1 - kept
  return model


def images(size, seed=0):
  """Returns the images as PyTorch wants them."""
  pictures = torch.from_numpy(packed.pictures(size, seed))
  return pictures.permute(0, 3, 1, 2).double()


def evaluated(model, image, blocks):
  """Returns logits, and summaries of the features and of each block."""
  kept, features = [], []
  hooks = [
    block.register_forward_hook(lambda _, __, out: kept.append(out.clone()))
    for block in blocks
  ]
  *_, head = (m for m in model.modules() if isinstance(m, torch.nn.Linear))
  hooks.append(
    head.register_forward_pre_hook(lambda _, given: features.append(given[0]))
  )
  with torch.no_grad():
    found = {"logits": _logits(model(image)).numpy()}
  for hook in hooks:
    hook.remove()
  found["features"] = weights.summary("features", features[0].numpy(), 8)
  for i, out in enumerate(kept):
    found[f"block_{i:02d}"] = weights.summary("block", out.numpy(), 8)
  return found


def trained(model, image):
  """Returns the logits of training, gradients and running statistics.

  Gradients and statistics are under the names of the state dict.
  """
  named = {id(x): n for n, x in model.state_dict(keep_vars=True).items()}
  model.train()
  logits = _logits(model(image))
  labels = torch.arange(len(image))
  torch.nn.functional.cross_entropy(logits, labels).backward()
  found = {"train_logits": logits.detach().numpy()}
  for parameter in model.parameters():
    name = named[id(parameter)]
    gradient = parameter.grad.numpy()
    found[f"grad/{name}"] = weights.summary(name, gradient)
  for name, buffer in model.named_buffers():
    if "running" in name:
      found[f"stats/{name}"] = weights.summary(name, buffer.numpy())
  return found


def _logits(outputs):
  return getattr(outputs, "logits", outputs)


def facts(make, names):
  """Returns {preset: [parameters, digest]} of originals without values.

  Args:
    make: preset -> model.
    names: the presets.
  """
  found = {}
  for name in names:
    with torch.device("meta"):
      model = make(name)
    shapes = {n: tuple(x.shape) for n, x in model.state_dict().items()}
    count = sum(p.numel() for p in model.parameters())
    found[name] = [count, packed.digest(shapes)]
  return found
