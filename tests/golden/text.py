"""What jft computes of make_text.py's cases, loaded from files like theirs."""

import functools
import hashlib
import json
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
from golden import text_cases, weights

import jft
from jft import families, tree
from jft.models import text
from jft.pretrained import layouts
from jft.pretrained.formats import safetensors
from jft.shapes import variables as variables_of

# Each program runs once, so compiling fast matters more than running fast.
jit = functools.partial(
  jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)
FLOOR = 1e-2
MODEL_TYPES = {"bert": "bert", "roberta": "roberta", "distilbert": "distilbert"}


def read(family, task):
  """Returns a golden's arrays, names and copies."""
  path = pathlib.Path(__file__).with_name(f"text_{family}.npz")
  with np.load(path) as file:
    found = {name: file[name] for name in file.files}
  start = f"{task}/"
  return {
    name.removeprefix(start): array
    for name, array in found.items()
    if name.startswith(start)
  }


def preset(name):
  """Returns the original's parameter count and the hash of its names."""
  path = pathlib.Path(__file__).with_name("text_presets.json")
  return json.loads(path.read_text())[name]


def own_preset(name):
  """Returns the same of jft's preset, under the names of a bare encoder."""
  known = families.FAMILIES[text_cases.family_of(name)]
  config = known.presets[name]
  ids = jnp.zeros((1, 2), jnp.int32)
  found = variables_of(
    known.module(config, None),
    config,
    {"input_ids": ids, "attention_mask": ids},
  )
  anchor = {"embeddings.word_embeddings.weight": None}
  table, lines = known.dialects[0].table(config, anchor), []
  for leaf, spec in found.items():
    stand_in = np.broadcast_to(np.float32(0), spec.shape)
    shape = layouts.to_source(table[leaf], stand_in).shape
    lines.append(f"{table[leaf].source} {shape}")
  text = "\n".join(sorted(lines))
  return {
    "params": tree.count(found),
    "sha256": hashlib.sha256(text.encode()).hexdigest(),
  }


def numbers(golden):
  """Returns what of a golden is compared by value."""
  return {n: x for n, x in golden.items() if n not in ("names", "copies")}


def shapes(golden):
  """Returns {source name: shape} of all that the original saves but copies."""
  found = {}
  for row in golden["names"]:
    name, _, shape = str(row).partition(" ")
    found[name] = tuple(int(n) for n in re.findall(r"\d+", shape))
  return found


def tensors(golden, seed=0):
  """Returns a state dict, drawn, with the copies under their own names."""
  drawn = {
    name: weights.draw(name, shape, seed)
    for name, shape in shapes(golden).items()
  }
  for copy in golden["copies"]:
    drawn[str(copy)] = drawn[original(drawn, str(copy))].copy()
  return drawn


def original(drawn, copy):
  """Returns the name of what a copy repeats: a bias, or the words."""
  if copy.endswith("bias"):
    return copy.replace(".decoder", "")
  return next(n for n in drawn if n.endswith("word_embeddings.weight"))


def config_json(family, task):
  name = text_cases.TITLES[family] + text_cases.CLASSES[task]
  return {
    "model_type": MODEL_TYPES[family],
    "architectures": [name],
    **text_cases.SETTINGS[family],
  }


def write(folder, family, task, arrays):
  """Writes a folder as transformers does."""
  safetensors.write(folder / "model.safetensors", arrays)
  (folder / "config.json").write_text(json.dumps(config_json(family, task)))


def load(folder, family, task, seed=0, **options):
  """Returns the network of a golden's files."""
  write(folder, family, task, tensors(read(family, task), seed))
  if task == "mlm":
    options = {"task": "mlm", **options}
  if family == "roberta" or task != "classification":
    options = {"pooling": "cls", **options}
  return jft.load_pretrained(str(folder), **options)


def computed(net, family, task, seed=0, dtype=np.float32):
  """Returns what make_text.py records, of a loaded network."""
  inputs = text_cases.inputs(family, seed)
  cotangents = text_cases.cotangents(family, task, seed)
  config = net.spec.config
  known = families.FAMILIES[net.spec.family]
  module = known.module(
    config, net.spec.num_classes, dtype=dtype, param_dtype=dtype
  )
  variables = jax.tree.map(lambda x: jnp.asarray(x, dtype), net.variables)

  def loss(variables):
    outputs, kept = module.apply(
      variables,
      inputs,
      mutable="intermediates",
      capture_intermediates=lambda module, _: isinstance(module, text.Block),
    )
    blocks = kept["intermediates"].items()
    total = sum((outputs[name] * x).sum() for name, x in cotangents.items())
    states = {name: block["__call__"][0] for name, block in blocks}
    return total, (outputs["logits"], states)

  grads, (logits, states) = jit(jax.grad(loss, has_aux=True))(variables)
  result = {"logits": np.asarray(logits)}
  for name, state in states.items():
    result[name] = weights.summary("block", np.asarray(state), 8)
  table = known.dialects[0].table(config, ())
  for name, leaf in tree.flatten(grads).items():
    source = table[name].source
    array = layouts.to_source(table[name], np.asarray(leaf))
    result[f"grad/{source}"] = weights.summary(source, array)
  return result


def assert_close(got, want, tolerance):
  """Compares records; a tolerance is relative to an array's largest value.

  A key's bias shifts all scores of a query alike, so its gradient is zero but
  for rounding; the floor is far under every other array's largest value.
  """
  assert got.keys() == want.keys()
  errors = {name: error(got[name], want[name]) for name in want}
  assert {n: e for n, e in errors.items() if not e <= tolerance} == {}


def error(got, want):
  assert got.shape == want.shape
  scale = max(np.abs(want).max(), FLOOR)
  return float(np.abs(np.asarray(got) - want).max() / scale)
