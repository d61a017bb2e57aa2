"""The MobileNetV2s that make_mobilenetv2.py makes, as jft has them."""

import dataclasses

from golden.nets import Case

from jft.models.mobilenetv2 import PRESETS, Config

SMALL = Config(0.35, dropout=0.0)
TENSORFLOW = dataclasses.replace(SMALL, padding="same", norm_eps=1e-3)
REAL = {
  name: Case(
    "mobilenetv2", layout, dataclasses.replace(PRESETS[name], dropout=0.0)
  )
  for name, layout in (
    ("mobilenetv2_100", "torchvision"),
    ("mobilenetv2_110d", "timm"),
  )
}
CASES = {
  "timm": Case("mobilenetv2", "timm", SMALL),
  "timm_same": Case("mobilenetv2", "timm", TENSORFLOW),
  "torchvision": Case("mobilenetv2", "torchvision", SMALL),
  "hf": Case("mobilenetv2", "hf", SMALL),
  "keras": Case("mobilenetv2", "keras", SMALL),
}
