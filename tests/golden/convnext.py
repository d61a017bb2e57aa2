"""The ConvNeXts that make_convnext.py records, as jft has them."""

from golden.nets import Case

from jft.models.convnext import Config

# An image of 72 pixels: 18, 9, 4 and 2 a side.
SMALL = Config((1, 1, 2, 1), (16, 32, 48, 64), drop_path=0.0)
OVERLAP = Config(
  (1, 1, 2, 1), (16, 32, 48, 64), stem="overlap_tiered", drop_path=0.0
)
# timm stores the dense layers of its small ones as 1x1 convolutions.
CONV_MLP = (("stages.0.blocks.0.mlp.fc1.weight", (0, 0, 1, 1)),)
CASES = {
  "timm": Case("convnext", "timm", SMALL),
  "timm_overlap": Case("convnext", "timm", OVERLAP, hint=CONV_MLP),
  "torchvision": Case("convnext", "torchvision", SMALL),
  "hf": Case("convnext", "hf", SMALL),
  "facebook": Case("convnext", "facebook", SMALL),
}
