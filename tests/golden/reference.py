"""What a reference in PyTorch or Keras computes, as the goldens record it.

The reference runs in float64 on float32 weights and inputs, so all rounding in
a comparison is that of the code under test.
"""

import hashlib
import math
import pathlib

import numpy as np
import torch
from golden import weights


def _output(given, out):
  del given
  return out.clone()


def record(model, blocks, head, *, size=64, channels=3, seed=0, keep=_output):
  """Returns everything that is compared, by name.

  Args:
    model: of PyTorch, made for `weights.CLASSES` classes.
    blocks: the modules in it whose outputs are kept.
    head: the module in it whose input is `features`.
    size, channels: of the images.
    seed: of weights and images.
    keep: (inputs, output) of a block -> what is kept.
  """
  model.double().load_state_dict(
    {
      name: torch.from_numpy(weights.draw(name, tuple(tensor.shape), seed))
      for name, tensor in model.state_dict().items()
      if not name.endswith("num_batches_tracked")
    },
    strict=False,
  )
  image = torch.from_numpy(weights.images(channels, seed, size))
  image = image.permute(0, 3, 1, 2).double()
  return _evaluated(model.eval(), blocks, head, image, keep) | _trained(
    model.train(), image
  )


def _evaluated(model, blocks, head, image, keep):
  kept, features = [], []
  hooks = [
    block.register_forward_hook(
      lambda _, given, out: kept.append(keep(given, out))
    )
    for block in blocks
  ]
  hooks.append(
    head.register_forward_pre_hook(lambda _, given: features.append(given[0]))
  )
  with torch.no_grad():
    logits = _logits(model(image))
  for hook in hooks:
    hook.remove()
  outputs = {f"block_{i:02d}": block_row(out) for i, out in enumerate(kept)}
  return outputs | {"logits": logits.numpy(), "features": features[0].numpy()}


def block_row(out):
  """Returns what is kept of a block's output, [b c h w]."""
  row = weights.summary("block", out.numpy(), 8)
  return np.append(row, out.abs().mean().item())


def _trained(model, image):
  logits = _logits(model(image))
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


def _logits(outputs):
  return getattr(outputs, "logits", outputs)


def keras_record(model, blocks, features, *, size=64, seed=0, flip=True):
  """Returns the same of a model of Keras on PyTorch, made in float64.

  Args:
    model: without a softmax.
    blocks, features: names of the layers whose outputs are kept.
    size: of the images.
    seed: of weights and images.
    flip: whether the model reads BGR.
  """
  import keras

  before = {}
  for variable in model.variables:
    name = f"{variable.path}:0"
    before[name] = weights.draw(name, tuple(variable.shape), seed)
    variable.assign(torch.from_numpy(before[name]).double())
  image = weights.images(3, seed, size).astype(np.float64)
  image = torch.from_numpy(
    np.ascontiguousarray(image[..., :: -1 if flip else 1])
  )
  wanted = [model.get_layer(name).output for name in (*blocks, features)]
  with torch.no_grad():
    *kept, pooled, logits = keras.Model(model.inputs, [*wanted, model.output])(
      image, training=False
    )
  result = {
    f"block_{i:02d}": block_row(out.permute(0, 3, 1, 2))
    for i, out in enumerate(kept)
  }
  result |= {"logits": logits.numpy(), "features": pooled.numpy()}
  return result | keras_trained(model, image, before)


def _in_full(variable):
  return f"{variable.path}:0"


def keras_trained(model, image, before, name_of=_in_full):
  """Returns the logits of training, gradients and running statistics.

  Args:
    model: of Keras on PyTorch, without a softmax.
    image: what it reads.
    before: {name: its weights}.
    name_of: variable -> its name.
  """
  norms = [layer for layer in model.layers if hasattr(layer, "moving_mean")]
  logits = model(image, training=True)
  labels = torch.arange(len(image))
  torch.nn.functional.cross_entropy(logits, labels).backward()
  result = {"train/logits": logits.detach().numpy()}
  for variable in model.trainable_variables:
    name = name_of(variable)
    gradient = variable.value.grad.numpy()
    result[f"grad/{name}"] = weights.summary(name, gradient)
  for layer in norms:
    n = len(image) * math.prod(layer.output.shape[1:-1])
    for variable in (layer.moving_mean, layer.moving_variance):
      name = name_of(variable)
      after = variable.value.detach().numpy()
      if variable is layer.moving_variance:
        # Keras 3 averages the biased variance; TensorFlow's fused norm, with
        # which the published weights were trained, averages n/(n-1) of it.
        kept = layer.momentum * before[name].astype(np.float64)
        after = kept + (after - kept) * n / (n - 1)
      result[f"stats/{name}"] = weights.summary(name, after)
  return result


def digest(state) -> str:
  """Returns the hash of {name: shape}, without counters."""
  rows = sorted(f"{name} {tuple(shape)}" for name, shape in state.items())
  rows = [row for row in rows if "num_batches_tracked" not in row]
  return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:32]


def torch_facts(make):
  """Returns (digest, parameters) of a model made on the meta device."""
  with torch.device("meta"):
    model = make()
  state = {name: tuple(x.shape) for name, x in model.state_dict().items()}
  return digest(state), sum(p.numel() for p in model.parameters())


def write(name, versions, arrays) -> None:
  """Writes one golden beside this file."""
  path = pathlib.Path(__file__).with_name(f"{name}.npz")
  np.savez_compressed(path, versions=np.array(versions), **arrays)
  print(path.name, path.stat().st_size)
