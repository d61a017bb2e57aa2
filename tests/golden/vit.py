"""What jft's vision transformers compute, as make_vit.py records it."""

import dataclasses
import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from golden import vit_cases, weights

from jft import tree
from jft.models import vit, vit_hf, vit_layers
from jft.pretrained import adapt, export
from jft.pretrained.dialect import choose
from jft.pretrained.names import vit as names
from jft.shapes import variables as variables_of

# Each program runs once, so compiling fast matters more than running fast.
jit = functools.partial(
  jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)
FLOOR = 1e-2
SMALL = {"width": 32, "heads": 4, "patch_size": 4, "image_size": 16}
CONFIGS = {
  "vit_plain": vit.Config(**SMALL, depth=3, mlp_width=48),
  "vit_mean": vit.Config(
    **SMALL,
    depth=1,
    mlp_width=128,
    pooling="mean",
    norm="pooled",
    qkv_bias=False,
  ),
  "vit_distilled": vit.Config(
    **SMALL, depth=2, mlp_width=128, distillation="head"
  ),
  "vit_dinov2": vit.Config(
    **SMALL,
    depth=2,
    mlp_width=85,
    gated=True,
    activation="silu",
    layer_scale=1e-5,
    registers=3,
    positions="patches",
  ),
  "vit_clip": vit.Config(
    **SMALL,
    depth=2,
    mlp_width=128,
    norm_eps=1e-2,
    activation="quick_gelu",
    embeddings_norm=True,
    patch_bias=False,
  ),
}


def read(case):
  """Returns a golden's arrays, and its texts: names and shapes, config.json."""
  path = pathlib.Path(__file__).with_name(f"{case}.npz")
  with np.load(path) as file:
    kept = {name: file[name] for name in file.files if name != "versions"}
  return split(kept)


def split(record):
  record = dict(record)
  texts = {n: json.loads(str(record.pop(n))) for n in ("shapes", "config")}
  return record, texts


def config_of(case, texts):
  if case in CONFIGS:
    return CONFIGS[case]
  pooler = {"pooling": "cls_pooler"} if case == "vit_hf_pooler" else {}
  return dataclasses.replace(vit_hf.from_hf(texts["config"]), **pooler)


@functools.cache
def target(config, num_classes=None, **options):
  """Returns {name: shape and dtype} of a model's variables."""
  shape = (1, config.image_size, config.image_size, config.in_channels)
  module = vit.module(config, num_classes, **options)
  return variables_of(module, config, jnp.zeros(shape))


def loaded(config, num_classes, source, resize=(), dtype=np.float32):
  """Returns variables from {source name: array}, the dialect and its table."""
  shapes = {name: x.shape for name, x in source.items()}
  dialect = choose("vit", names.DIALECTS, shapes)
  dialect.check(config, shapes)
  table = dialect.table(config, shapes)
  flat, report = adapt.adapt(
    target(config, num_classes, param_dtype=dtype),
    source,
    table,
    dialect.dropped(config),
    initial={},
    resize=resize,
  )
  return tree.unflatten(flat), dialect, table, report


def source(texts, seed=0, dtype=np.float32):
  """Returns {name: array} of a case's file."""
  return {
    name: weights.draw(name, tuple(shape), seed).astype(dtype)
    for name, shape in texts["shapes"].items()
  }


def classes(texts):
  heads = ("head.bias", "classifier.bias", "cls_classifier.bias")
  return weights.CLASSES if any(n in texts["shapes"] for n in heads) else None


def computed(case, texts, seed=0, dtype=np.float32, gradients=True):
  """Returns what is recorded of a case: outputs, blocks and gradients."""
  config, k = config_of(case, texts), classes(texts)
  model = vit.module(config, k, dtype=dtype, param_dtype=dtype)
  variables, _, table, _ = loaded(
    config, k, source(texts, seed, dtype), dtype=dtype
  )
  image = vit_cases.images(seed).astype(dtype)

  def loss(variables):
    outputs, kept = model.apply(
      variables,
      image,
      mutable="intermediates",
      capture_intermediates=lambda m, _: isinstance(m, vit_layers.Block),
    )
    blocks = {
      name: block["__call__"][0]
      for name, block in kept["intermediates"].items()
    }
    wanted = given(case, outputs)
    total = sum(
      (x * vit_cases.cotangent(n, x.shape, seed)).sum()
      for n, x in wanted.items()
      if n in ("logits", "hidden", "features")
    )
    return total, (wanted, blocks)

  if gradients:
    grads, (result, blocks) = jit(jax.grad(loss, has_aux=True))(variables)
  else:
    grads, (_, (result, blocks)) = {}, jit(loss)(variables)
  for name, block in blocks.items():
    result[name] = weights.summary("block", np.asarray(block), 8)
  for name, grad in export.to_source(tree.flatten(grads), table).items():
    result[f"grad/{name}"] = weights.summary(name, grad)
  return result


def resized_images(seed=0):
  """Returns the images in 24 pixels: the nearest of the 16."""
  near = np.arange(24) * 16 // 24
  return vit_cases.images(seed)[:, near][:, :, near]


def given(case, outputs):
  """Returns the outputs that the original gives, too."""
  if case in vit_cases.TIMM or "logits" not in outputs:
    return dict(outputs)
  return {name: x for name, x in outputs.items() if name != "features"}


def errors(got, want, floor=FLOOR):
  """Returns errors relative to an array's largest value.

  A key's bias shifts all scores of a query alike, so its gradient is zero but
  for rounding; the floor is far under every other array's largest value.
  """
  found = {}
  for name in want:
    a, b = np.asarray(got[name], np.float64), want[name]
    assert a.shape == b.shape, name
    found[name] = float(np.abs(a - b).max() / max(np.abs(b).max(), floor))
  return found
