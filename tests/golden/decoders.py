"""What jft computes of make_decoders.py's cases, loaded from such files."""

import hashlib
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from golden import decoder_cases, text, weights
from golden.text import assert_close, error, jit

import jft
from jft import families, tree
from jft.models import decoder_layers
from jft.models.cache import init_cache
from jft.pretrained import layouts
from jft.pretrained.formats import safetensors
from jft.shapes import variables as variables_of

__all__ = ["assert_close", "error", "jit"]


def read(case):
  """Returns a golden's arrays, names and copies."""
  family = decoder_cases.CASES[case][0]
  path = pathlib.Path(__file__).with_name(f"decoders_{family}.npz")
  with np.load(path) as file:
    found = {name: file[name] for name in file.files}
  start = f"{case}/"
  golden = {
    name.removeprefix(start): array
    for name, array in found.items()
    if name.startswith(start)
  }
  of = [str(row).partition(" ")[0] for row in golden["names"]]
  grads = zip(of, golden.pop("grads"), strict=True)
  return golden | {f"grad/{name}": array for name, array in grads}


def numbers(golden):
  """Returns what of a golden is compared by value."""
  others = ("names", "copies", "continued")
  return {name: x for name, x in golden.items() if name not in others}


def tensors(golden, seed=0):
  """Returns a state dict, drawn, with the copies under their own names."""
  drawn = {
    name: weights.draw(name, shape, seed)
    for name, shape in text.shapes(golden).items()
  }
  words = ("embed_tokens.weight", "wte.weight")
  for copy in golden["copies"]:
    original = next(name for name in drawn if name.endswith(words))
    drawn[str(copy)] = drawn[original].copy()
  return drawn


def config_json(case):
  _, name, settings = decoder_cases.CASES[case]
  kind = decoder_cases.MODEL_TYPES[decoder_cases.title(case)]
  return {"model_type": kind, "architectures": [name], **settings}


def write(folder, case, arrays, **changes):
  """Writes a folder as transformers does."""
  safetensors.write(folder / "model.safetensors", arrays)
  found = config_json(case) | changes
  (folder / "config.json").write_text(json.dumps(found))


def load(folder, case, seed=0, **options):
  """Returns the network of a golden's files."""
  write(folder, case, tensors(read(case), seed))
  return jft.load_pretrained(str(folder), **options)


def computed(net, case, seed=0, dtype=np.float32, **options):
  """Returns what make_decoders.py records, of a loaded network."""
  inputs = decoder_cases.inputs(case, seed)
  cotangents = decoder_cases.cotangents(case, seed)
  known = families.FAMILIES[net.spec.family]
  module = known.module(
    net.spec.config,
    net.spec.num_classes,
    dtype=dtype,
    param_dtype=dtype,
    **options,
  )
  variables = jax.tree.map(lambda x: jnp.asarray(x, dtype), net.variables)

  def loss(variables):
    outputs, kept = module.apply(
      variables,
      inputs,
      mutable="intermediates",
      capture_intermediates=lambda module, _: isinstance(
        module, decoder_layers.Block
      ),
    )
    outputs = dict(outputs)
    if "block_00" in kept.get("intermediates", {}):  # not if it is scanned
      block = kept["intermediates"]["block_00"]["__call__"][0]
      outputs["block_00"] = block[0]
    total = sum((outputs[name] * x).sum() for name, x in cotangents.items())
    return total, outputs

  grads, outputs = jit(jax.grad(loss, has_aux=True))(variables)
  mask, result = inputs["attention_mask"], {}
  for name in ("logits", "hidden", "block_00"):
    if name in outputs:
      array = np.asarray(outputs[name])
      result[name] = array * (mask[..., None] if array.ndim == 3 else 1)
  for name in {"hidden", "block_00"} & result.keys():
    result[name] = weights.summary(name, result[name], 8)
  return result | gradients(known, net.spec.config, grads)


def gradients(known, config, grads):
  """Returns {grad/source name: summary}; parts are put together."""
  from jft.pretrained import export

  table = known.dialects[0].table(config, ())
  arrays = export.to_source(tree.flatten(grads), table)
  return {
    f"grad/{name}": weights.summary(name, array)
    for name, array in arrays.items()
  }


def continued(net, case, seed=0):
  """Returns what a plain greedy loop over the cached network goes on with."""
  found = decoder_cases.prompts(case, seed)
  rows, n = found["input_ids"].shape
  more = decoder_cases.NEW_TOKENS
  cache = init_cache(net.spec.config, rows, n + more)
  inputs = {name: jnp.asarray(x) for name, x in found.items()}
  run, tokens = jit(net.apply), []
  for _ in range(more):
    outputs = run(net.variables, inputs | {"cache": cache})
    cache = outputs["cache"]
    token = jnp.argmax(outputs["logits"][:, -1:], axis=-1)
    tokens.append(np.asarray(token))
    inputs = {"input_ids": token, "attention_mask": jnp.ones_like(token)}
  return np.concatenate(tokens, axis=1)


def preset(name):
  """Returns the original's parameter count and the hash of its names."""
  path = pathlib.Path(__file__).with_name("decoder_presets.json")
  return json.loads(path.read_text())[name]


def own_preset(name):
  """Returns the same of jft's preset."""
  known = families.FAMILIES[decoder_cases.preset_family(name)]
  config = known.presets[name]
  ids = jnp.zeros((1, 2), jnp.int32)
  found = variables_of(
    known.module(config, config.vocab_size),
    config,
    {"input_ids": ids, "attention_mask": ids},
  )
  table, shapes = known.dialects[0].table(config, ()), {}
  for leaf, spec in found.items():
    stand_in = np.broadcast_to(np.float32(0), spec.shape)
    shape = layouts.to_source(table[leaf], stand_in).shape
    part = table[leaf].part
    if part is not None:
      shape = tuple(
        size * (part.count if axis == part.axis else 1)
        for axis, size in enumerate(shape)
      )
    shapes[table[leaf].source] = shape
  text = "\n".join(sorted(f"{name} {shape}" for name, shape in shapes.items()))
  return {
    "params": tree.count(found),
    "sha256": hashlib.sha256(text.encode()).hexdigest(),
  }
