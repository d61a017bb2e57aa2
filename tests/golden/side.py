"""What jft computes of make_side.py's cases."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from golden import decoders, side_cases, text, vit, weights
from golden.text import assert_close, jit

from jft import families, tree
from jft.models import vit as vit_model
from jft.tuning.adapters import bottleneck, ia3, prefix, prompt, vpt
from jft.tuning.adapters.method import ADAPTERS, wrap
from jft.tuning.adapters.sites import probe

__all__ = ["assert_close"]

METHODS = {
  "ia3": ia3.IA3(),
  "prefix": prefix.Prefix(side_cases.TOKENS),
  "projected": prefix.Prefix(side_cases.TOKENS, side_cases.WIDTH),
  "prompt": prompt.Prompt(side_cases.TOKENS),
  "houlsby": bottleneck.houlsby(side_cases.WIDTH),
  "parallel": bottleneck.parallel(side_cases.WIDTH),
  "vpt_shallow": vpt.VPT(side_cases.TOKENS, deep=False),
  "vpt_deep": vpt.VPT(side_cases.TOKENS),
}


def read(case):
  """Returns a golden's arrays."""
  with np.load(pathlib.Path(__file__).with_name("side.npz")) as file:
    start = f"{case}/"
    return {
      name.removeprefix(start): file[name]
      for name in file.files
      if name.startswith(start)
    }


def numbers(golden):
  """Returns what of a golden is compared by value."""
  return {name: x for name, x in golden.items() if name != "continued"}


def base(folder, case, seed=0, dtype=np.float32):
  """Returns (apply, params) of a case's model without the adapter."""
  _, model = side_cases.CASES[case]
  options = {"dtype": dtype, "param_dtype": dtype}
  if model == "vit":
    _, texts = vit.read("vit_hf")
    config, classes = vit.config_of("vit_hf", texts), vit.classes(texts)
    source = vit.source(texts, seed, dtype)
    variables = vit.loaded(config, classes, source, dtype=dtype)[0]
    apply = vit_model.module(config, classes, **options).apply
    return apply, variables["params"]
  net = network(folder, case, seed)
  module = families.FAMILIES[net.spec.family].module
  apply = module(net.spec.config, net.spec.num_classes, **options).apply
  return apply, jax.tree.map(lambda x: jnp.asarray(x, dtype), net.params)


def network(folder, case, seed=0):
  """Returns the loaded network of a case that reads texts."""
  _, model = side_cases.CASES[case]
  if model in side_cases.DECODERS:
    return decoders.load(folder, model, seed)
  return text.load(folder, model, "classification", seed, pooling=_POOL[model])


_POOL = {"bert": "cls_pooler", "roberta": "cls"}


def adapted(folder, case, seed=0, dtype=np.float32):
  """Returns (method, apply, params) with the case's adapter."""
  method = METHODS[side_cases.CASES[case][0]]
  apply, params = base(folder, case, seed, dtype)
  values = side_cases.values(case, seed)
  own = tree.unflatten({n: jnp.asarray(x, dtype) for n, x in values.items()})
  params = {**params, ADAPTERS: {"default": own}}
  return method, wrap(apply, {"default": method}, ("default",)), params


def fresh(folder, case):
  """Returns {leaf: shape} of a tree that the method itself makes."""
  method = METHODS[side_cases.CASES[case][0]]
  apply, params = base(folder, case)
  sites = probe(apply, {"params": params}, side_cases.inputs(case))
  init = functools.partial(method.init, sites=sites)
  made = jax.eval_shape(init, params, jax.random.key(0))
  return {name: leaf.shape for name, leaf in tree.flatten(made).items()}


def computed(folder, case, seed=0, dtype=np.float32):
  """Returns what make_side.py records."""
  _, apply, params = adapted(folder, case, seed, dtype)
  inputs = side_cases.inputs(case, seed)
  texts = not isinstance(inputs, np.ndarray)
  mask = inputs["attention_mask"] if texts else None
  params = dict(params)
  trees = params.pop(ADAPTERS)
  inputs = inputs if texts else inputs.astype(dtype)

  def loss(trees):
    outputs = apply({"params": {**params, ADAPTERS: trees}}, inputs)
    cotangent = side_cases.cotangent(outputs["logits"], mask)
    return (outputs["logits"] * cotangent).sum(), outputs

  grads, outputs = jit(jax.grad(loss, has_aux=True))(trees)
  result = {"logits": np.asarray(outputs["logits"])}
  if texts:
    hidden = np.asarray(outputs["hidden"]) * mask[..., None]
    result["hidden"] = weights.summary("hidden", hidden, 8)
    if result["logits"].ndim == 3:
      result["logits"] = result["logits"] * mask[..., None]
  for name, leaf in tree.flatten(grads["default"]).items():
    summary = weights.summary(name, np.asarray(leaf))
    result[f"grad/{name}"] = summary
  return result


def merged(folder, case, seed=0):
  """Returns the logits of a base with the adapter worked in."""
  method, _, params = adapted(folder, case, seed)
  apply, _ = base(folder, case, seed)
  own = params.pop(ADAPTERS)["default"]
  inputs = side_cases.inputs(case, seed)
  logits = apply({"params": method.merge(params, own)}, inputs)["logits"]
  mask = inputs["attention_mask"]
  return np.asarray(logits) * (mask[..., None] if logits.ndim == 3 else 1)
