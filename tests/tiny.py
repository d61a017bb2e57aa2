"""A ResNet of 5,000 parameters that goes the way of every recipe, in seconds.

Its architecture is a preset of the family for the time of a test; its weights
are a file in torchvision's layout.
"""

import dataclasses
import json

import jax
import numpy as np

from jft import config, families, net, tree
from jft.models import resnet
from jft.pretrained import export
from jft.pretrained.formats import safetensors
from jft.pretrained.names import resnet as names

CONFIG = resnet.Config((1, 1), width=4, stem="small", in_channels=1)


def add_preset(monkeypatch):
  """Makes "resnet_tiny" an architecture that jft has."""
  presets = {**families.RESNET.presets, "resnet_tiny": CONFIG}
  family = dataclasses.replace(families.RESNET, presets=presets)
  monkeypatch.setattr(
    families, "FAMILIES", {**families.FAMILIES, "resnet": family}
  )


def write(folder, num_classes=10, **changes):
  """Writes tiny.safetensors and tiny.json; returns the path of the weights.

  Args:
    folder: where to.
    num_classes: of the head.
    **changes: {source name: array, or None to leave it out}.
  """
  made = net.init("resnet_tiny", num_classes=num_classes, key=jax.random.key(7))
  flat = export.to_source(tree.flatten(made.variables), names.table(CONFIG))
  flat = {**flat, **{name.replace("__", "."): x for name, x in changes.items()}}
  path = folder / "tiny.safetensors"
  safetensors.write(path, {k: np.asarray(x) for k, x in flat.items() if x is not None})
  (folder / "tiny.json").write_text(
    json.dumps(
      {
        "family": "resnet",
        "preset": "resnet_tiny",
        "image_size": 8,
        "mean": [0.3],
        "std": [0.35],
        "label_names": [f"class {i}" for i in range(num_classes)],
      }
    )
  )
  return path


def recipe(source, *overrides):
  """A config: 12 steps on the digits, an evaluation every 4, one device."""
  return config.load(
    "default",
    [
      f"model.source={source}",
      "data.train=sklearn:digits",
      "data.train_examples=320",
      "data.test_fraction=0.1",
      "tune.preset=top_blocks",
      "tune.blocks=1",
      "optim.lr=0.02",
      "optim.clip_norm=1.0",
      "train.steps=12",
      "train.batch_size=16",
      "train.devices=1",
      "eval.every_steps=4",
      "log.every_steps=1",
      "log.tensorboard=false",
      *overrides,
    ],
  )
