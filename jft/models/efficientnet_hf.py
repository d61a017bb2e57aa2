"""EfficientNet's config as transformers writes it down."""

import types
from typing import Any

from jft.errors import UserError
from jft.models.efficientnet import Config, deepened
from jft.models.hf_fixed import check_fixed
from jft.models.inverted_residual import rounded
from jft.typing import Mapping

# jft's EfficientNet has these alone; Keras' and Google's have no others.
_FIXED: Mapping[str, Any] = types.MappingProxyType(
  {
    "depth_divisor": 8,
    "kernel_sizes": [3, 3, 5, 3, 5, 5, 3],
    "in_channels": [32, 16, 24, 40, 80, 112, 192],
    "out_channels": [16, 24, 40, 80, 112, 192, 320],
    "strides": [1, 2, 2, 2, 1, 2, 1],
    "num_block_repeats": [1, 2, 2, 3, 3, 4, 1],
    "expand_ratios": [1, 6, 6, 6, 6, 6, 6],
    "squeeze_expansion_ratio": 0.25,
    "hidden_act": "swish",
    "pooling_type": "mean",
  }
)
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_DEPTHS = (1.0, 1.1, 1.2, 1.4, 1.8, 2.2, 2.6, 3.1)  # of B0 to B7


def from_hf(config: Mapping[str, Any]) -> Config:
  """Returns the config that a `config.json` of transformers describes.

  What it leaves out has B7's value, as there. Its `batch_norm_momentum` is
  Keras', the share that is kept; transformers gives it to PyTorch, where it
  is the share that is replaced, and so trains with other statistics.

  Args:
    config: the parsed file.

  Raises:
    UserError: naming the key that asks for something jft's EfficientNet is
      not.

  Source: transformers.EfficientNetConfig.

  >>> from_hf({"width_coefficient": 1.0, "depth_coefficient": 1.0,
  ...          "image_size": 224}).stage_sizes
  (1, 2, 2, 3, 3, 4, 1)
  """
  check_fixed("EfficientNet", config, _FIXED)
  found = Config(
    width=config.get("width_coefficient", 2.0),
    stage_sizes=deepened(config.get("depth_coefficient", 3.1)),
    padding="same",
    norm_eps=config.get("batch_norm_eps", 1e-3),
    norm_momentum=config.get("batch_norm_momentum", 0.99),
    dropout=config.get("dropout_rate", 0.5),
    drop_path=config.get("drop_connect_rate", 0.2),
    image_size=config.get("image_size", 600),
    in_channels=config.get("num_channels", 3),
  )
  _check_padding(found, list(config.get("depthwise_padding", ())))
  return found


def to_hf(config: Config, headed: bool, model_type: str = "") -> dict[str, Any]:
  """Returns the settings that `from_hf` reads this config from.

  Args:
    config: what transformers has no word for is left out.
    headed: whether there is a classifier.
    model_type: not needed, there is one.

  >>> config = from_hf({"width_coefficient": 1.1, "depth_coefficient": 1.2,
  ...   "image_size": 260, "depthwise_padding": [5, 8, 16]})
  >>> from_hf(to_hf(config, True)) == config
  True
  """
  del model_type
  task = "ForImageClassification" if headed else "Model"
  depths = [d for d in _DEPTHS if deepened(d) == tuple(config.stage_sizes)]
  return {
    "model_type": "efficientnet",
    "architectures": [f"EfficientNet{task}"],
    **_FIXED,
    "width_coefficient": config.width,
    "depth_coefficient": depths[0] if depths else 1.0,
    "depthwise_padding": _even(config),
    "hidden_dim": rounded(1280 * config.width),
    "batch_norm_eps": config.norm_eps,
    "batch_norm_momentum": config.norm_momentum,
    "dropout_rate": config.dropout,
    "drop_connect_rate": config.drop_path,
    "image_size": config.image_size,
    "num_channels": config.in_channels,
  }


def _even(config: Config) -> list[int]:
  """transformers lists the blocks where "SAME" pads evenly at one size."""
  side, number, even = -(-config.image_size // 2), 0, []
  for stride, blocks in zip(_STRIDES, config.stage_sizes, strict=True):
    if stride == 2:
      even += [number] if side % 2 else []
      side = -(-side // 2)
    number += blocks
  return even


def _check_padding(config: Config, listed: list[int]) -> None:
  even = _even(config)
  if listed != even:
    raise UserError(
      f"config.json: depthwise_padding is {listed}, but images of"
      f' {config.image_size} pixels padded as TensorFlow\'s "SAME" need {even};'
      " jft has no other padding for transformers' EfficientNets."
    )
