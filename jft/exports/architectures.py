"""Which of jft's presets other projects have, and under which names."""

import types

from jft.typing import Mapping

_NUMBERS = types.MappingProxyType(
  {
    "resnet": (50, 101, 152),
    "densenet": (121, 169, 201),
    "vgg": (16, 19),
  }
)
_TITLES = types.MappingProxyType(
  {"resnet": "ResNet", "densenet": "DenseNet", "vgg": "VGG"}
)

KERAS: Mapping[str, str] = types.MappingProxyType(
  {
    f"{name}{n}": f"{_TITLES[name]}{n}"
    for name, numbers in _NUMBERS.items()
    for n in numbers
  }
  | {f"efficientnet_b{n}": f"EfficientNetB{n}" for n in range(8)}
  | {f"mobilenetv2_{n:03d}": "MobileNetV2" for n in (35, 50, 75, 100, 130, 140)}
)
"""{preset: class in keras.applications}."""

TORCHVISION: Mapping[str, str] = types.MappingProxyType(
  {
    name: name
    for name in (
      *(f"resnet{n}" for n in (18, 34, 50, 101, 152)),
      *("wide_resnet50_2", "wide_resnet101_2", "resnext50_32x4d"),
      *("resnext101_32x8d", "resnext101_64x4d"),
      *(f"vgg{n}{bn}" for n in (11, 13, 16, 19) for bn in ("", "_bn")),
      *(f"densenet{n}" for n in (121, 161, 169, 201)),
      *(f"convnext_{size}" for size in ("tiny", "small", "base", "large")),
      *(f"efficientnet_b{n}" for n in range(8)),
    )
  }
  | {"mobilenetv2_100": "mobilenet_v2"}
)
"""{preset: function in torchvision.models}."""

NOT_TIMM = ("resnet14_small",)
"""All other presets of images have timm's names."""
