"""What jft's ResNets compute, under the names that make_resnet.py records."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from golden import weights

from jft import tree
from jft.models import resnet
from jft.pretrained import layouts
from jft.pretrained.names import resnet as names

CONFIGS = resnet.PRESETS | {
  "resnet_shallow": resnet.Config((1, 1, 1, 1), "bottleneck"),
  "tiny": resnet.Config((1, 1), "bottleneck", width=4, stem="small"),
}
# Each program runs once, so compiling fast matters more than running fast.
OPTIONS = {"xla_backend_optimization_level": 0}


def read(arch, *, train):
  """Returns a golden's arrays: those of training, or of inference."""
  path = pathlib.Path(__file__).with_name(f"{arch}.npz")
  with np.load(path) as file:
    kept = {name: file[name] for name in file.files if name != "versions"}
  return {name: x for name, x in kept.items() if ("/" in name) == train}


@functools.cache
def target(arch, num_classes=weights.CLASSES):
  """Returns {name: shape and dtype} of a model's variables."""
  config = CONFIGS[arch]
  module = resnet.module(config, num_classes)
  image = jnp.zeros((1, 32, 32, config.in_channels))
  return tree.flatten(jax.eval_shape(module.init, jax.random.key(0), image))


def source_shapes(arch, num_classes=weights.CLASSES):
  """Returns {source name: shape} of the state dict that fits a model."""
  table = names.table(CONFIGS[arch])
  return {
    table[name].source: layouts.to_source(
      table[name], np.broadcast_to(np.float32(0), leaf.shape)
    ).shape
    for name, leaf in target(arch, num_classes).items()
  }


def drawn(arch, seed=0, dtype=np.float32):
  """Returns a model's variables, drawn under their source names."""
  shapes = source_shapes(arch)
  flat = {}
  for name, entry in names.table(CONFIGS[arch]).items():
    values = weights.draw(entry.source, shapes[entry.source], seed)
    flat[name] = layouts.to_jft(entry, values.astype(dtype))
  return tree.unflatten(flat)


def to_source(arch, variables):
  """Returns {source name: array} of some of a model's variables."""
  table = names.table(CONFIGS[arch])
  return {
    table[name].source: layouts.to_source(table[name], np.asarray(leaf))
    for name, leaf in tree.flatten(variables).items()
  }


def evaluated(arch, seed=0):
  """Returns what is recorded of inference."""
  config = CONFIGS[arch]
  run = functools.partial(
    resnet.module(config, weights.CLASSES).apply,
    mutable="intermediates",
    capture_intermediates=lambda module, _: isinstance(module, resnet.Block),
  )
  image = weights.images(config.in_channels, seed)
  outputs, kept = jax.jit(run, compiler_options=OPTIONS)(
    drawn(arch, seed), image
  )
  result = {name: outputs[name] for name in ("logits", "features")}
  for name, block in kept["intermediates"].items():
    out = np.asarray(block["__call__"][0]).transpose(0, 3, 1, 2)
    summary = weights.summary("block", out, 8)
    result[name] = np.append(summary, np.abs(out).mean())
  return result


def trained(arch, seed=0, dtype=np.float32):
  """Returns what is recorded of training."""
  config = CONFIGS[arch]
  module = resnet.module(
    config, weights.CLASSES, dtype=dtype, param_dtype=dtype
  )
  variables = drawn(arch, seed, dtype)
  image = weights.images(config.in_channels, seed)
  rows = jnp.arange(len(image))

  def loss(params):
    outputs, new = module.apply(
      variables | {"params": params}, image, train=True, mutable="batch_stats"
    )
    losses = -jax.nn.log_softmax(outputs["logits"])[rows, rows]
    return losses.mean(), (outputs["logits"], new)

  gradient = jax.jit(jax.grad(loss, has_aux=True), compiler_options=OPTIONS)
  grads, (logits, new) = gradient(variables["params"])
  result = {"train/logits": logits}
  for kind, part in (("grad", {"params": grads}), ("stats", new)):
    for name, array in to_source(arch, part).items():
      result[f"{kind}/{name}"] = weights.summary(name, array)
  return result


def assert_close(got, want, tolerance):
  """Compares records; a tolerance is relative to an array's largest value."""
  assert got.keys() == want.keys()
  errors = {
    name: np.abs(np.asarray(got[name]) - want[name]).max()
    / np.abs(want[name]).max()
    for name in want
  }
  assert {n: e for n, e in errors.items() if not e <= tolerance} == {}
