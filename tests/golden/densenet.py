"""The DenseNets of the goldens that make_densenet.py records."""

import functools

from golden import vision

from jft.models import densenet
from jft.pretrained.names import densenet as names

CASES = {
  "densenet_small": (
    densenet.Config((2, 1, 2), growth=8, width=16),
    names.TORCHVISION,
  ),
  "keras_densenet": (densenet.Config((1, 2, 1, 1)), names.KERAS),
}


@functools.cache
def case(arch, dialect=names.TORCHVISION):
  """Returns a golden's model, or a preset in a dialect."""
  config = densenet.PRESETS.get(arch)
  if arch in CASES:
    config, dialect = CASES[arch]
  config = dialect.adjust(config)
  return vision.Case(config, densenet.module, densenet.Block, dialect, 72)
