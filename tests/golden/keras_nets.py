"""Runs the Keras originals of image models for the golden files."""

import contextlib
import re
import unittest.mock

import keras
import numpy as np
import torch
from golden import packed, reference, weights
from keras.src import backend
from keras.src.backend.common import dtypes


def named(layer):
  """Yields Keras 2's name of each of a layer's weights, and the weight."""
  for weight in layer.weights:
    kind = weight.name
    if isinstance(layer, keras.layers.DepthwiseConv2D):
      kind = "depthwise_kernel"
    yield f"{layer.name}/{kind}:0", weight


@contextlib.contextmanager
def _double():
  """Keras' norms, means and sums round float64 to float32, but not in here."""
  with contextlib.ExitStack() as stack:
    for place in (backend, dtypes):
      stack.enter_context(
        unittest.mock.patch.object(place, "result_type", return_value="float64")
      )
    yield


@_double()
def record(model, blocks, image, seed=0, *, train=True):
  """Returns what is compared, by name, of a model made in float64.

  Args:
    model: without a softmax; its image normalisation stays as it is. What
      its last layer reads are the features.
    blocks: names of the layers whose outputs are kept.
    image: what it reads, [b h w c].
    seed: of the weights.
    train: whether to record training as well.
  """
  before = fill(model, seed)
  image = torch.from_numpy(np.asarray(image, np.float64))
  wanted = [model.get_layer(name).output for name in blocks]
  wanted.append(model.layers[-1].input)
  with torch.no_grad():
    *kept, pooled, logits = keras.Model(model.inputs, [*wanted, model.output])(
      image, training=False
    )
  found = {
    "logits": logits.numpy(),
    "features": weights.summary("features", pooled.numpy(), 8),
  }
  for i, out in enumerate(kept):
    out = out.permute(0, 3, 1, 2).numpy()
    found[f"block_{i:02d}"] = weights.summary("block", out, 8)
  if train:
    names = {w.path: n for x in _layers(model) for n, w in named(x)}
    of_training = reference.keras_trained(
      model, image, before, lambda variable: names[variable.path]
    )
    found["train_logits"] = of_training.pop("train/logits")
    found |= of_training
  return found


def ends(model, pattern):
  """Returns the last layer of each block, by name.

  Args:
    pattern: a regex of what the names of a block's layers begin with.
  """
  found = {}
  for layer in model.layers:
    if block := re.match(pattern, layer.name):
      found[block[0]] = layer.name
  return list(found.values())


def fill(model, seed=0):
  """Gives a model weights drawn by name, and returns them by name.

  Its image normalisation stays.
  """
  drawn = {}
  for layer in _layers(model):
    for name, weight in named(layer):
      drawn[name] = packed.draw(name, tuple(weight.shape), seed)
      weight.assign(torch.from_numpy(drawn[name]).double())
  return drawn


def facts(make, names):
  """Returns {preset: [parameters, digest of names and shapes]}.

  Args:
    make: preset -> model.
    names: the presets.
  """
  found = {}
  for preset in names:
    model = make(preset)
    shapes = {
      name: tuple(weight.shape)
      for layer in _layers(model)
      for name, weight in named(layer)
    }
    trained = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    found[preset] = [trained, packed.digest(shapes)]
  return found


def _layers(model):
  return [
    layer
    for layer in model.layers
    if layer.weights and not isinstance(layer, keras.layers.Normalization)
  ]
