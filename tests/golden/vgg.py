"""The VGGs of the goldens that make_vgg.py records."""

import functools

from golden import vision

from jft.models import vgg
from jft.pretrained.names import vgg as names

_SMALL = vgg.Config((1, 1, 2, 2, 1), width=8, hidden=32, dropout=0.0)
CASES = {
  "vgg_small": (_SMALL, names.TORCHVISION, 64),
  "vgg_bn_small": (
    vgg.Config((1, 2), norm=True, width=8, hidden=32, dropout=0.0),
    names.TORCHVISION,
    40,
  ),
  "keras_vgg": (
    vgg.Config((2, 2, 3, 3, 3), width=8, pooled=2, hidden=32),
    names.KERAS,
    64,
  ),
  "timm_vgg": (
    vgg.Config((1, 1, 2, 2, 1), width=8, dropout=0.0),
    names.TIMM,
    64,
  ),
}


@functools.cache
def case(arch, dialect=names.TORCHVISION):
  """Returns a golden's model, or a preset in a dialect."""
  config, size = vgg.PRESETS.get(arch), 224
  if arch in CASES:
    config, dialect, size = CASES[arch]
  config = dialect.adjust(config)
  return vision.Case(config, vgg.module, vgg.Block, dialect, size)
