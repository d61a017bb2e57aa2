"""A small BatchNorm network and its batches, shared by the tests."""

import functools
import types

import flax.linen as nn
import jax
import numpy as np


class SmallNet(nn.Module):
  """Dense -> BatchNorm -> Dense blocks with a head; names as jft's models."""

  dropout: float = 0.0

  @nn.compact
  def __call__(self, inputs, *, train=False, axis_name=None):
    x = nn.Dense(8, name="stem")(inputs)
    for i in range(2):
      x = Block(self.dropout, name=f"block_{i:02d}")(
        x, train=train, axis_name=axis_name
      )
    return {"features": x, "logits": nn.Dense(3, name="head")(x)}


class Block(nn.Module):
  dropout: float

  @nn.compact
  def __call__(self, x, *, train, axis_name):
    x = nn.Dense(16, name="fc")(x)
    x = nn.BatchNorm(
      use_running_average=not train, axis_name=axis_name, name="norm"
    )(x)
    x = nn.relu(x)
    return nn.Dropout(self.dropout, deterministic=not train)(x)


@functools.cache
def initial(seed):
  """Returns its variables; with and without dropout they are the same."""
  return SmallNet().init(jax.random.key(seed), np.zeros((2, 5), np.float32))


def net(dropout=0.0, seed=0):
  module = SmallNet(dropout)

  def apply(variables, inputs, *, train=False, axis_name=None, **kwargs):
    return module.apply(
      variables, inputs, train=train, axis_name=axis_name, **kwargs
    )

  return types.SimpleNamespace(apply=apply, variables=dict(initial(seed)))


def batch(step=0, rows=16):
  rng = np.random.default_rng(step)
  label = rng.integers(0, 3, rows).astype(np.int32)
  image = rng.normal(size=(rows, 5)).astype(np.float32) + label[:, None]
  return {
    "image": image,
    "label": label,
    "mask": np.ones(rows, np.float32),
    "id": np.arange(rows, dtype=np.int32),
  }
