"""What jft's image models compute, under the names that make_*.py record."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
from golden import packed, weights

from jft import families, tree
from jft.pretrained import export, layouts

# Each program runs once, so compiling fast matters more than running fast.
OPTIONS = {"xla_backend_optimization_level": 0}


@dataclasses.dataclass(frozen=True)
class Case:
  """A model whose weights are drawn under the names of a layout.

  Attributes:
    family: a key of FAMILIES; layout: the name of one of its dialects.
    config: before the dialect adjusts it.
    size: pixels of a side.
    hint: (source name, shape) of tensors that say how the file is written.
  """

  family: str
  layout: str
  config: object
  size: int = 72
  hint: tuple = ()

  @property
  def dialect(self):
    found = families.FAMILIES[self.family].dialects
    return next(d for d in found if d.name == self.layout)

  @property
  def adjusted(self):
    return self.dialect.adjust(self.config)

  @property
  def table(self):
    return self.dialect.table(self.adjusted, dict(self.hint))

  def module(self, num_classes=weights.CLASSES, **options):
    family = families.FAMILIES[self.family]
    return family.module(self.adjusted, num_classes, **options)


def target(case, num_classes=weights.CLASSES):
  """Returns {name: shape and dtype} of a model's variables."""
  changes = {"norm_eps": 1e-5, "norm_momentum": 0.9, "padding": "symmetric"}
  fields = {field.name for field in dataclasses.fields(case.adjusted)}
  plain = {name: x for name, x in changes.items() if name in fields}
  config = dataclasses.replace(case.adjusted, **plain)
  return _target(case.family, config, num_classes)


@functools.cache
def _target(family, config, num_classes):
  module = families.FAMILIES[family].module(config, num_classes)
  image = jnp.zeros((1, 32, 32, 3))
  return tree.flatten(jax.eval_shape(module.init, jax.random.key(0), image))


def source_shapes(case, num_classes=weights.CLASSES):
  """Returns {source name: shape} of the file that fits a model."""
  empty = {
    name: np.broadcast_to(np.float32(0), leaf.shape)
    for name, leaf in target(case, num_classes).items()
  }
  found = export.to_source(empty, case.table)
  return {name: array.shape for name, array in found.items()}


def source(case, seed=0):
  """Returns a source's tensors, drawn by their names."""
  return {
    name: packed.draw(name, shape, seed)
    for name, shape in source_shapes(case).items()
  }


def drawn(case, seed=0, dtype=np.float32):
  """Returns a model's variables, loaded from what `source` draws."""
  tensors, table = source(case, seed), case.table
  return tree.unflatten(
    {
      name: layouts.to_jft(table[name], tensors[table[name].source]).astype(
        dtype
      )
      for name in target(case)
    }
  )


def evaluated(case, seed=0, dtype=np.float32):
  """Returns what is recorded of inference."""
  variables = drawn(case, seed, dtype)
  return evaluator(case, seed, dtype)(variables)


def evaluator(case, seed=0, dtype=np.float32):
  """Returns variables -> what is recorded of inference with them."""
  run = functools.partial(
    case.module(dtype=dtype, param_dtype=dtype).apply,
    mutable="intermediates",
    capture_intermediates=lambda module, _: bool(
      re.fullmatch(r"block_\d+", module.name or "")
    ),
  )
  jitted = jax.jit(run, compiler_options=OPTIONS)
  image = packed.pictures(case.size, seed)
  return lambda variables: _summarised(*jitted(variables, image))


def _summarised(outputs, kept):
  found = {
    "logits": outputs["logits"],
    "features": weights.summary("features", outputs["features"], 8),
  }
  for name, block in kept["intermediates"].items():
    out = np.asarray(block["__call__"][0]).transpose(0, 3, 1, 2)
    found[name] = weights.summary("block", out, 8)
  return found


def trained(case, seed=0, dtype=np.float32):
  """Returns what is recorded of training, which here draws nothing."""
  module = case.module(dtype=dtype, param_dtype=dtype)
  variables = drawn(case, seed, dtype)
  image = packed.pictures(case.size, seed)
  rows = jnp.arange(len(image))

  def loss(params):
    outputs, new = module.apply(
      variables | {"params": params}, image, train=True, mutable="batch_stats"
    )
    losses = -jax.nn.log_softmax(outputs["logits"])[rows, rows]
    return losses.mean(), (outputs["logits"], new)

  gradient = jax.jit(jax.grad(loss, has_aux=True), compiler_options=OPTIONS)
  grads, (logits, new) = gradient(variables["params"])
  found = {"train_logits": logits}
  for kind, part in (("grad", {"params": grads}), ("stats", new)):
    flat = tree.flatten(part)
    for name, array in export.to_source(flat, case.table).items():
      found[f"{kind}/{name}"] = weights.summary(name, array)
  return found


def idle(case, want, tolerance):
  """Returns names of tensors whose values `want` does not depend on.

  Each tensor is exchanged for another one in turn: what any mistake in its
  entry in the table amounts to.
  """
  run, flat = evaluator(case), tree.flatten(drawn(case))
  others = tree.flatten(drawn(case, seed=1))
  found = []
  for name, other in others.items():
    got = run(tree.unflatten(flat | {name: other}))
    if max_error(got, want) < tolerance:
      found.append(name)
  return found


def inference(record):
  """Returns the part of a record that `evaluated` computes."""
  return {n: x for n, x in record.items() if not _of_training(n)}


def training(record):
  """Returns the part of a record that `trained` computes."""
  return {n: x for n, x in record.items() if _of_training(n)}


def max_error(got, want):
  """Returns the largest error, relative to the largest value of its array.

  Nothing flows back through a bias before a BatchNorm: a gradient's error is
  relative to at least a thousandth of the largest gradient.
  """
  assert got.keys() == want.keys()
  norms = [x[0] for name, x in want.items() if name.startswith("grad/")]
  floor = 1e-3 * max(norms, default=0.0)
  return max(
    float(
      np.abs(np.asarray(got[name]) - want[name]).max()
      / max(np.abs(want[name]).max(), floor * name.startswith("grad/"))
    )
    for name in want
  )


def _of_training(name):
  return "/" in name or name == "train_logits"
