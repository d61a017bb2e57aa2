"""What an image model of jft computes, under the names that goldens record."""

import dataclasses
import functools
import hashlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from golden import weights

from jft import tree
from jft.pretrained import layouts
from jft.pretrained.dialect import Dialect
from jft.typing import Any, Callable

# Each program runs once, so compiling fast matters more than running fast.
OPTIONS = {"xla_backend_optimization_level": 0}


@functools.cache
def _target(make, config, num_classes):
  module = make(config, num_classes)
  image = jnp.zeros((1, 32, 32, config.in_channels))
  return tree.flatten(jax.eval_shape(module.init, jax.random.key(0), image))


@dataclasses.dataclass(frozen=True)
class Case:
  """One model of a golden.

  Attributes:
    config: of the family.
    module: (config, num_classes, **options) -> Linen module.
    block: the Linen class whose outputs are recorded as `block_00`, ...
    dialect: in whose names the weights are drawn.
    size: pixels of the images' sides.
  """

  config: Any
  module: Callable[..., Any]
  block: type
  dialect: Dialect
  size: int = 64

  @property
  def table(self):
    """{jft's name: entry}."""
    return self.dialect.table(self.config, {})

  def target(self, num_classes=weights.CLASSES):
    """Returns {name: shape and dtype} of the model's variables."""
    return _target(self.module, self.config, num_classes)

  def source_shapes(self, num_classes=weights.CLASSES):
    """Returns {source name: shape} of the weights that fit the model."""
    table = self.table
    return {
      table[name].source: layouts.to_source(
        table[name], np.broadcast_to(np.float32(0), leaf.shape)
      ).shape
      for name, leaf in self.target(num_classes).items()
    }

  def drawn(self, seed=0, dtype=np.float32):
    """Returns the model's variables, drawn under their source names."""
    shapes = self.source_shapes()
    flat = {}
    for name, entry in self.table.items():
      values = weights.draw(entry.source, shapes[entry.source], seed)
      flat[name] = layouts.to_jft(entry, values.astype(dtype))
    return tree.unflatten(flat)

  def to_source(self, variables):
    """Returns {source name: array} of some of the model's variables."""
    table = self.table
    return {
      table[name].source: layouts.to_source(table[name], np.asarray(leaf))
      for name, leaf in tree.flatten(variables).items()
    }

  def images(self, seed=0):
    """Returns the images that the golden's model saw."""
    return weights.images(self.config.in_channels, seed, self.size)

  def evaluated(self, seed=0):
    """Returns what is recorded of inference."""
    run = functools.partial(
      self.module(self.config, weights.CLASSES).apply,
      mutable="intermediates",
      capture_intermediates=lambda module, _: isinstance(module, self.block),
    )
    outputs, kept = jax.jit(run, compiler_options=OPTIONS)(
      self.drawn(seed), self.images(seed)
    )
    result = {name: outputs[name] for name in ("logits", "features")}
    for name, block in kept["intermediates"].items():
      out = np.asarray(block["__call__"][0]).transpose(0, 3, 1, 2)
      summary = weights.summary("block", out, 8)
      result[name] = np.append(summary, np.abs(out).mean())
    return result

  def trained(self, seed=0, dtype=np.float32):
    """Returns what is recorded of training."""
    module = self.module(
      self.config, weights.CLASSES, dtype=dtype, param_dtype=dtype
    )
    variables = self.drawn(seed, dtype)
    image = self.images(seed)
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
      for name, array in self.to_source(part).items():
        result[f"{kind}/{name}"] = weights.summary(name, array)
    return result


def read(name, *, train):
  """Returns a golden's arrays: those of training, or of inference."""
  path = pathlib.Path(__file__).with_name(f"{name}.npz")
  with np.load(path) as file:
    kept = {name: file[name] for name in file.files if name != "versions"}
  return {name: x for name, x in kept.items() if ("/" in name) == train}


def parameters(target):
  """Returns how many parameters {name: shape and dtype} holds."""
  return sum(
    leaf.size for name, leaf in target.items() if name.startswith("params/")
  )


def digest(shapes):
  """Returns the hash of {name: shape}, as reference.py does."""
  rows = sorted(f"{name} {tuple(shape)}" for name, shape in shapes.items())
  return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:32]


def errors(got, want):
  """Returns {name: largest error, relative to the array's largest value}.

  The gradient of a bias before a norm is zero but for rounding; errors of what
  stays below 0.01 are relative to that.
  """
  assert got.keys() == want.keys()
  return {
    name: float(
      np.abs(np.asarray(got[name]) - want[name]).max()
      / max(np.abs(want[name]).max(), 1e-2)
    )
    for name in want
  }


def assert_close(got, want, tolerance):
  """Compares records; a tolerance is relative to an array's largest value."""
  found = errors(got, want)
  assert {n: e for n, e in found.items() if not e <= tolerance} == {}
