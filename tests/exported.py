"""Small networks whose every tensor matters, to be exported."""

import dataclasses

import jax
import numpy as np

import jft
from jft import families, tree

LABELS = ("ant", "bee", "cat")


def varied(net, seed=0):
  """Returns a network with no zero, no one and no constant in it."""
  rng = np.random.default_rng(seed)

  def draw(name, leaf):
    x = np.asarray(leaf)
    if name.endswith(("/var", "/scale")):
      return rng.uniform(0.5, 1.0, x.shape).astype(x.dtype)
    spread = 0.1 if x.ndim < 2 else max(float(x.std()), 0.02)
    return rng.normal(0, spread, x.shape).astype(x.dtype)

  flat = {name: draw(name, x) for name, x in tree.flatten(net.variables).items()}
  return dataclasses.replace(net, variables=tree.unflatten(flat))


def make(arch, dialect="", num_classes=3, labels=LABELS, **options):
  """Returns a varied network; of a dialect's own habits where one is named."""
  family, config = families.preset(arch)
  for known in family.dialects:
    if known.name == dialect:
      config = known.adjust(config)
  fields = {
    field.name: getattr(config, field.name)
    for field in dataclasses.fields(config)
  }
  image = {k: options.pop(k) for k in ("mean", "std") if k in options}
  net = jft.init(
    arch,
    num_classes=num_classes,
    key=jax.random.key(0),
    **{**fields, **options},
    **image,
  )
  net = varied(net)
  return dataclasses.replace(
    net, spec=dataclasses.replace(net.spec, label_names=labels)
  )


def logits(net, images):
  """Returns the network's logits."""
  return np.asarray(jax.jit(net.apply)(net.variables, images)["logits"])


def images(net, count=2, seed=0):
  """Returns normalised images, Float32[b h w c]."""
  side, channels = net.spec.image_size, net.spec.config.in_channels
  shape = (count, side, side, channels)
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
