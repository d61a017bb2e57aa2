"""What torch, timm and a paper's own code say of how a model is tuned.

  cd tests && python -m golden.tuning

prints UPDATE_BN and RATIOS of the tests anew; needs torch and timm.
"""

import numpy as np

from jft import tree


def arrays(seed=0):
  """Returns two layers' weights and three batches of five rows, float32."""
  draw = np.random.default_rng(seed)

  def normal(*shape):
    return draw.normal(0.5, 1.5, shape).astype(np.float32)

  weights = {"first": normal(3, 4), "second": normal(4, 2)}
  return weights, [normal(5, 3) for _ in range(3)]


def update_bn():
  """Returns torch.optim.swa_utils.update_bn's statistics, {name: array}."""
  import torch
  from torch import nn

  weights, batches = arrays()
  layers = [nn.Linear(3, 4, bias=False), nn.Linear(4, 2, bias=False)]
  for layer, weight in zip(layers, weights.values(), strict=True):
    layer.weight.data = torch.from_numpy(weight.T.copy())
  norms = [nn.BatchNorm1d(4), nn.BatchNorm1d(2)]
  model = nn.Sequential(layers[0], norms[0], nn.ReLU(), layers[1], norms[1])
  # Old statistics leave no trace.
  model(torch.ones(4, 3) * torch.arange(4.0)[:, None])
  torch.optim.swa_utils.update_bn(map(torch.from_numpy, batches), model)
  return {
    f"norm{i}/{name}": norm.state_dict()[f"running_{name}"].numpy()
    for i, norm in enumerate(norms)
    for name in ("mean", "var")
  }


def ratios():
  """Returns each tensor's relative gradient norm, as Auto-RGN measures it.

  That is torch.norm(grad) / torch.norm(param), the mean over the batches.
  """
  import torch

  weights, batches = arrays(1)
  params = {
    name: torch.from_numpy(w).requires_grad_() for name, w in weights.items()
  }
  found = {name: [] for name in params}
  for batch in map(torch.from_numpy, batches):
    hidden = torch.tanh(batch @ params["first"])
    loss = torch.nn.functional.cross_entropy(
      hidden @ params["second"], torch.arange(5) % 2
    )
    grads = torch.autograd.grad(loss, list(params.values()))
    for (name, param), grad in zip(params.items(), grads, strict=True):
      found[name].append((torch.norm(grad) / torch.norm(param)).item())
  return {name: float(np.mean(values)) for name, values in found.items()}


def timm_layer_decay(model, decay):
  """Returns {parameter: lr_scale} of timm's `param_groups_layer_decay`."""
  from timm.optim import param_groups_layer_decay

  names = {id(param): name for name, param in model.named_parameters()}
  groups = param_groups_layer_decay(model, layer_decay=decay)
  return {
    names[id(param)]: group["lr_scale"]
    for group in groups
    for param in group["params"]
  }


def main():
  for name, values in update_bn().items():
    print(name, np.asarray(values).tolist())
  print(tree.flatten(ratios()))


if __name__ == "__main__":
  main()
