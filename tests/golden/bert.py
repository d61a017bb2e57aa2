"""What jft's BERT computes, under the names that make_bert.py records."""

import dataclasses
import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from golden import bert_cases, weights
from safetensors.numpy import load_file

from jft import tree
from jft.models import bert, text
from jft.pretrained import layouts
from jft.pretrained.names import bert as names
from jft.shapes import variables as variables_of

# Each program runs once, so compiling fast matters more than running fast.
jit = functools.partial(
  jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


FLOOR = 1e-2


def read(case, part=""):
  """Returns a golden's arrays: "inputs", "pooled" or the rest."""
  path = pathlib.Path(__file__).with_name(f"{case}.npz")
  with np.load(path) as file:
    kept = {name: file[name] for name in file.files if name != "versions"}
  return split(kept, part)


def split(record, part=""):
  """Returns a part of what make_bert.py records, "" for what has no other."""
  found = {"": {}, "inputs": {}, "pooled": {}}
  for name, array in record.items():
    first, _, rest = name.partition("/")
    key, name = (first, rest) if first in found else ("", name)
    found[key][name] = array
  return found[part]


def config_of(case, **changes):
  config = bert.BertConfig.from_hf(bert_cases.CASES[case])
  return dataclasses.replace(config, **changes)


def target(config, num_classes=None):
  """Returns {name: shape and dtype} of a model's variables."""
  ids = jnp.zeros((1, 2), jnp.int32)
  inputs = {"input_ids": ids, "attention_mask": ids}
  module = bert.module(config, num_classes)
  return variables_of(module, config, inputs)


def source_shapes(config, num_classes=None, source_names=()):
  """Returns {source name: shape} of the state dict that fits a model."""
  table = names.table(config, source_names)
  return {
    table[name].source: layouts.to_source(
      table[name], np.broadcast_to(np.float32(0), leaf.shape)
    ).shape
    for name, leaf in target(config, num_classes).items()
  }


def drawn(case, seed=0, dtype=np.float32):
  """Returns a model's variables, drawn under their source names."""
  config = config_of(case)
  shapes = source_shapes(config, bert_cases.CASES[case]["num_labels"])
  flat = {}
  for name, entry in names.table(config).items():
    values = weights.draw(entry.source, shapes[entry.source], seed)
    flat[name] = layouts.to_jft(entry, values.astype(dtype))
  return tree.unflatten(flat)


def computed(case, seed=0, dtype=np.float32):
  """Returns what is recorded of a case: outputs, blocks and gradients."""
  settings = bert_cases.CASES[case]
  variables = drawn(case, seed, dtype)
  inputs = bert_cases.inputs(case, seed)
  cotangents = bert_cases.cotangents(case, seed)
  model = bert.module(
    config_of(case), settings["num_labels"], dtype=dtype, param_dtype=dtype
  )

  def loss(variables):
    outputs, blocks = with_blocks(model, variables, inputs)
    total = sum((outputs[name] * x).sum() for name, x in cotangents.items())
    return total, outputs | blocks

  grads, result = jit(jax.grad(loss, has_aux=True))(variables)
  table = names.table(config_of(case))
  for name, leaf in tree.flatten(grads).items():
    array = layouts.to_source(table[name], np.asarray(leaf))
    result[f"grad/{table[name].source}"] = array
  return result


def pooled(case, pooling, seed=0):
  """Returns the features of a case under another pooling."""
  params = dict(drawn(case, seed)["params"])
  del params["pooler"], params["head"]
  model = bert.module(config_of(case, pooling=pooling))
  inputs = bert_cases.inputs(case, seed)
  return jit(model.apply)({"params": params}, inputs)["features"]


def with_blocks(model, variables, inputs):
  """Returns the outputs, and {block's name: its output}."""
  outputs, kept = model.apply(
    variables,
    inputs,
    mutable="intermediates",
    capture_intermediates=lambda module, _: isinstance(module, text.Block),
  )
  blocks = kept["intermediates"].items()
  return outputs, {name: block["__call__"][0] for name, block in blocks}


def minilm(inputs):
  """Returns the outputs of all-MiniLM-L6-v2, and those of its blocks."""
  folder = bert_cases.minilm()
  assert folder is not None
  source = load_file(folder / "model.safetensors")
  config = bert.PRESETS["minilm_l6"]
  model, table = bert.module(config), names.table(config, source)
  variables = tree.unflatten(
    {
      name: layouts.to_jft(table[name], source[table[name].source])
      for name in target(config)
    }
  )
  return jit(lambda v, x: with_blocks(model, v, x))(variables, inputs)


def assert_close(got, want, tolerance):
  """Compares records; a tolerance is relative to an array's largest value.

  A key's bias shifts all scores of a query alike, so its gradient is zero but
  for rounding; the floor below is far under every other array's largest value.
  """
  assert got.keys() == want.keys()
  errors = {name: error(got[name], want[name]) for name in want}
  assert {n: e for n, e in errors.items() if not e <= tolerance} == {}


def error(got, want):
  assert got.shape == want.shape
  scale = max(np.abs(want).max(), FLOOR)
  return np.abs(np.asarray(got) - want).max() / scale
