"""MobileNetV2's config as transformers writes it down."""

import types
from typing import Any

from jft.models.hf_fixed import check_fixed
from jft.models.mobilenetv2 import Config
from jft.typing import Mapping

_HF_FIXED: Mapping[str, Any] = types.MappingProxyType(
  {
    "depth_divisible_by": 8,
    "min_depth": 8,
    "expand_ratio": 6,
    "output_stride": 32,
    "first_layer_is_expansion": True,
    "finegrained_output": True,
    "hidden_act": "relu6",
  }
)


def from_hf(config: Mapping[str, Any]) -> Config:
  """Returns the config that a `config.json` of transformers describes.

  Its BatchNorm keeps 0.997 of the running statistics, as TensorFlow's did;
  transformers gives that to PyTorch, where it is the share that is replaced.

  Args:
    config: the parsed file.

  Raises:
    UserError: naming the key that asks for something jft's MobileNetV2 is not.

  Source: transformers.MobileNetV2Config.

  >>> from_hf({"depth_multiplier": 1.4}).padding
  'same'
  """
  check_fixed("MobileNetV2", config, _HF_FIXED)
  return Config(
    width=config.get("depth_multiplier", 1.0),
    padding="same" if config.get("tf_padding", True) else "symmetric",
    norm_eps=config.get("layer_norm_eps", 1e-3),
    norm_momentum=0.997,
    dropout=config.get("classifier_dropout_prob", 0.8),
    image_size=config.get("image_size", 224),
    in_channels=config.get("num_channels", 3),
  )


def to_hf(config: Config, headed: bool, model_type: str = "") -> dict[str, Any]:
  """Returns the settings that `from_hf` reads this config from.

  Args:
    config: what transformers has no word for is left out.
    headed: whether there is a classifier.
    model_type: not needed, there is one.

  >>> config = from_hf({"depth_multiplier": 1.4})
  >>> from_hf(to_hf(config, True)) == config
  True
  """
  del model_type
  task = "ForImageClassification" if headed else "Model"
  return {
    "model_type": "mobilenet_v2",
    "architectures": [f"MobileNetV2{task}"],
    **_HF_FIXED,
    "depth_multiplier": config.width,
    "tf_padding": config.padding == "same",
    "layer_norm_eps": config.norm_eps,
    "classifier_dropout_prob": config.dropout,
    "image_size": config.image_size,
    "num_channels": config.in_channels,
  }
