"""How a few projects write down what images are to be; shared by a test."""

TIMM = {
  "architecture": "x",
  "num_classes": 2,
  "pretrained_cfg": {
    "input_size": [3, 224, 224],
    "interpolation": "bicubic",
    "crop_pct": 0.875,
    "crop_mode": "center",
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
  },
}


def _timm(side, **changes):
  inside = {**TIMM["pretrained_cfg"], "input_size": [3, side, side], **changes}
  return {**TIMM, "pretrained_cfg": inside}


def _hf(kind, **rest):
  half = {"image_mean": [0.5] * 3, "image_std": [0.5, 0.4, 0.3]}
  return {"image_processor_type": f"{kind}ImageProcessor", **half, **rest}


# name -> (config.json, preprocessor_config.json)
CASES = {
  "timm center": (TIMM, {}),
  "timm 0.95": (_timm(288, crop_pct=0.95), {}),
  "timm bilinear 0.9": (_timm(240, crop_pct=0.9, interpolation="bilinear"), {}),
  "timm squash": (_timm(256, crop_pct=0.9, crop_mode="squash"), {}),
  "timm whole": (_timm(192, crop_pct=1.0, crop_mode="squash"), {}),
  "timm flat": ({"architecture": "x", **TIMM["pretrained_cfg"]}, {}),
  "hf ViT": ({}, _hf("ViT", size={"height": 224, "width": 224}, resample=2)),
  "hf DeiT": ({}, _hf("DeiT")),
  "hf Siglip": ({}, _hf("Siglip", size={"height": 256, "width": 256})),
  "hf ConvNext 224": ({}, _hf("ConvNext", size={"shortest_edge": 224})),
  "hf ConvNext 384": ({}, _hf("ConvNext", size={"shortest_edge": 384})),
  "hf Bit": (
    {},
    _hf(
      "Bit",
      size={"shortest_edge": 256},
      crop_size={"height": 224, "width": 224},
    ),
  ),
  "hf EfficientNet": (
    {},
    _hf("EfficientNet", size={"height": 224, "width": 224}, resample=3),
  ),
  "hf EfficientNet offset": (
    {},
    _hf(
      "EfficientNet",
      size={"height": 240, "width": 240},
      rescale_factor=1 / 127.5,
      rescale_offset=True,
      include_top=False,
    ),
  ),
  "hf no normalize": ({}, _hf("ViT", do_normalize=False)),
  "hf no rescale": ({}, _hf("ViT", do_rescale=False)),
}
# Files' defaults that transformers fills in where ours are silent.
FILLED = {
  "hf DeiT": {
    "size": {"height": 256, "width": 256},
    "crop_size": {"height": 224, "width": 224},
  },
  "hf no normalize": {"size": {"height": 224, "width": 224}},
  "hf no rescale": {"size": {"height": 224, "width": 224}},
}
for _name, _more in FILLED.items():
  CASES[_name][1].update(_more)

IMAGES = (
  "train/ants/0013035.jpg",
  "train/bees/1092977343_cb42b38d62.jpg",
  "val/ants/10308379_1b6c72e180.jpg",
  "val/bees/1032546534_06907fe3b3.jpg",
)
