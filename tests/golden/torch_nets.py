"""Runs the PyTorch originals of image models for the golden files."""

import torch
from golden import packed, weights


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


def images(size, seed=0):
  """Returns the images as PyTorch wants them."""
  pictures = torch.from_numpy(packed.pictures(size, seed))
  return pictures.permute(0, 3, 1, 2).double()


def evaluated(model, image, blocks, logits=lambda out: out):
  """Returns logits, and a summary of what each block puts out."""
  kept = []
  hooks = [
    block.register_forward_hook(lambda _, __, out: kept.append(out))
    for block in blocks
  ]
  with torch.no_grad():
    found = {"logits": logits(model(image)).numpy()}
  for hook in hooks:
    hook.remove()
  for i, out in enumerate(kept):
    found[f"block_{i:02d}"] = weights.summary("block", out.numpy(), 8)
  return found


def trained(model, image):
  """Returns the logits of training, gradients and running statistics."""
  model.train()
  logits = model(image)
  labels = torch.arange(len(image))
  torch.nn.functional.cross_entropy(logits, labels).backward()
  found = {"train_logits": logits.detach().numpy()}
  for name, parameter in model.named_parameters():
    gradient = parameter.grad.numpy()
    found[f"grad/{name}"] = weights.summary(name, gradient)
  for name, buffer in model.named_buffers():
    if "running" in name:
      found[f"stats/{name}"] = weights.summary(name, buffer.numpy())
  return found


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
