"""Tiny networks of three families, for the tests of what is put beside them."""

import functools

import jax
import numpy as np

import jft
from jft import net, tree

TEXT = {
  "input_ids": np.array([[3, 4, 5, 6, 7], [8, 9, 2, 0, 0]], np.int32),
  "attention_mask": np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32),
}
SIZE = {"width": 8, "depth": 2, "heads": 2, "mlp_width": 12}


@functools.cache
def bert(classes=3, **options):
  fields = {**SIZE, "vocab_size": 20, "max_tokens": 16, **options}
  return net.init(
    "bert_tiny", num_classes=classes, key=jax.random.key(0), **fields
  )


@functools.cache
def llama(num_classes=20, **options):
  """A classifier of texts; with `num_classes=None` it writes them."""
  fields = {
    **SIZE,
    "kv_heads": 1,
    "head_dim": 4,
    "vocab_size": 20,
    "max_tokens": 32,
    **options,
  }
  return net.init(
    "stories260k", num_classes=num_classes, key=jax.random.key(0), **fields
  )


@functools.cache
def vit(**options):
  fields = {**SIZE, "image_size": 8, "patch_size": 4, **options}
  return net.init(
    "vit_tiny_patch16_224", num_classes=3, key=jax.random.key(0), **fields
  )


def image():
  return np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)


@functools.cache
def resnet():
  return jft.load_pretrained("jft:resnet14_mnist")


def moved(network, name="default"):
  """Returns variables whose adapter is not the fresh one."""
  rng = np.random.default_rng(1)
  params = dict(network.params)
  own = {
    leaf: np.asarray(x) + rng.normal(0, 0.3, x.shape).astype(np.float32)
    for leaf, x in tree.flatten(params["adapters"][name]).items()
  }
  params["adapters"] = {**params["adapters"], name: tree.unflatten(own)}
  return {**network.variables, "params": params}
