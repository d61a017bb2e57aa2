"""Runs the Keras originals of image models for the golden files."""

import keras
import numpy as np
from golden import packed


def named(layer):
  """Yields Keras 2's name of each of a layer's weights, and the weight."""
  for weight in layer.weights:
    kind = weight.name
    if isinstance(layer, keras.layers.DepthwiseConv2D):
      kind = "depthwise_kernel"
    yield f"{layer.name}/{kind}:0", weight


def fill(model):
  """Gives a model weights drawn by name; its image normalisation stays."""
  for layer in _layers(model):
    layer.set_weights(
      [packed.draw(name, tuple(w.shape)) for name, w in named(layer)]
    )


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
