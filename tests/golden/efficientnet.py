"""The EfficientNets that make_efficientnet.py makes, as jft has them."""

import dataclasses

from golden.nets import Case

from jft.models.efficientnet import PRESETS, Config, deepened

SMALL = Config(0.5, deepened(0.3), dropout=0.0, drop_path=0.0)
LITE = Config(
  0.5, deepened(0.3, lite=True), lite=True, dropout=0.0, drop_path=0.0
)
TENSORFLOW = Config(
  0.5, deepened(0.3), padding="same", norm_eps=1e-3, dropout=0, drop_path=0
)
REAL = {
  name: Case(
    "efficientnet",
    "timm",
    dataclasses.replace(PRESETS[name], dropout=0.0, drop_path=0.0),
  )
  for name in ("efficientnet_b0", "tf_efficientnet_lite0")
}
CASES = {
  "timm": Case("efficientnet", "timm", SMALL),
  "timm_tf": Case("efficientnet", "timm", TENSORFLOW),
  "timm_lite": Case("efficientnet", "timm", LITE),
  "torchvision": Case("efficientnet", "torchvision", SMALL),
  "lukemelas": Case("efficientnet", "lukemelas", SMALL),
  "lukemelas_lite": Case("efficientnet", "lukemelas", LITE),
  "hf": Case("efficientnet", "hf", SMALL),
  "keras": Case("efficientnet", "keras", SMALL),
}
