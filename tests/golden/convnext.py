"""The ConvNeXts that make_convnext.py makes, as jft has them."""

import dataclasses

from golden.nets import Case

from jft.models.convnext import PRESETS, Config

# An image of 72 pixels: 18, 9, 4 and 2 a side.
SMALL = Config((1, 1, 2, 1), (16, 32, 48, 64), drop_path=0.0)
OVERLAP = Config(
  (1, 1, 2, 1), (16, 32, 48, 64), stem="overlap_tiered", drop_path=0.0
)
# timm stores the dense layers of its small ones as 1x1 convolutions.
CONV_MLP = (("stages.0.blocks.0.mlp.fc1.weight", (0, 0, 1, 1)),)
REAL = {
  "convnext_atto_ols": Case(
    "convnext", "timm", PRESETS["convnext_atto_ols"], hint=CONV_MLP
  ),
  "convnext_tiny": Case(
    "convnext",
    "torchvision",
    dataclasses.replace(PRESETS["convnext_tiny"], drop_path=0.0),
    size=36,
  ),
}
CASES = {
  "timm": Case("convnext", "timm", SMALL),
  "timm_overlap": Case("convnext", "timm", OVERLAP, hint=CONV_MLP),
  "torchvision": Case("convnext", "torchvision", SMALL),
  "hf": Case("convnext", "hf", SMALL),
  "facebook": Case("convnext", "facebook", SMALL),
}
