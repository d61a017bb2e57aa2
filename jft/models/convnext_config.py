"""What makes one ConvNeXt differ from another, and the sizes with names."""

import dataclasses
import types
from typing import Any, Literal

from jft.errors import UserError
from jft.models.hf_fixed import check_fixed
from jft.typing import Mapping

STEMS = ("patch", "overlap", "overlap_tiered")


@dataclasses.dataclass(frozen=True)
class Config:
  """What makes one ConvNeXt differ from another; the defaults are tiny.

  Attributes:
    stage_sizes: blocks in each of the four stages.
    widths: channels of each stage.
    stem: "patch" cuts the image into squares of 4 pixels; "overlap" has two
      3x3 convolutions, "overlap_tiered" with half the channels between them.
    norm_eps: added to the variance in every LayerNorm but the last.
    head_norm_eps: the same, in the last.
    layer_scale: where the scales of the residual branches start.
    drop_path: rate at which an image skips the last block, while training; an
      earlier block is skipped more rarely, the first never.
    image_size: pixels of a side that it was made for; others work too.
    in_channels: of the image.

  Raises:
    UserError: for a value that no ConvNeXt can have.
  """

  stage_sizes: tuple[int, ...] = (3, 3, 9, 3)
  widths: tuple[int, ...] = (96, 192, 384, 768)
  stem: Literal["patch", "overlap", "overlap_tiered"] = "patch"
  norm_eps: float = 1e-6
  head_norm_eps: float = 1e-6
  layer_scale: float = 1e-6
  drop_path: float = 0.1
  image_size: int = 224
  in_channels: int = 3

  def __post_init__(self):
    for field in ("stage_sizes", "widths"):
      values = getattr(self, field)
      if len(values) != 4 or min(values) < 1:
        raise UserError(
          f"ConvNeXt {field} must hold four positive numbers, got {values!r}."
        )
    if self.stem not in STEMS:
      raise UserError(
        f"ConvNeXt stem must be one of {', '.join(STEMS)}, got {self.stem!r}."
      )
    if not 0 <= self.drop_path < 1:
      raise UserError(
        f"ConvNeXt drop_path must be in [0, 1), got {self.drop_path!r}."
      )
    for field in ("norm_eps", "head_norm_eps", "image_size", "in_channels"):
      if not 0 < (value := getattr(self, field)) < 2**16:
        raise UserError(
          f"ConvNeXt {field} must be positive and below {2**16}, got {value!r}."
        )


def _sized(
  width: int, sizes: tuple[int, ...], drop_path: float = 0.0, **fields: Any
) -> Config:
  widths = (width, 2 * width, 4 * width, 8 * width)
  return Config(sizes, widths, drop_path=drop_path, **fields)


# The drop_path of tiny to large is the paper's; timm's small ones have none.
PRESETS: Mapping[str, Config] = types.MappingProxyType(
  {
    "convnext_atto": _sized(40, (2, 2, 6, 2)),
    "convnext_femto": _sized(48, (2, 2, 6, 2)),
    "convnext_pico": _sized(64, (2, 2, 6, 2)),
    "convnext_nano": _sized(80, (2, 2, 8, 2)),
    "convnext_atto_ols": _sized(40, (2, 2, 6, 2), stem="overlap_tiered"),
    "convnext_femto_ols": _sized(48, (2, 2, 6, 2), stem="overlap_tiered"),
    "convnext_pico_ols": _sized(64, (2, 2, 6, 2), stem="overlap_tiered"),
    "convnext_nano_ols": _sized(80, (2, 2, 8, 2), stem="overlap"),
    "convnext_tiny": _sized(96, (3, 3, 9, 3), 0.1),
    "convnext_small": _sized(96, (3, 3, 27, 3), 0.4),
    "convnext_base": _sized(128, (3, 3, 27, 3), 0.5),
    "convnext_large": _sized(192, (3, 3, 27, 3), 0.5),
  }
)


def from_hf(config: Mapping[str, Any]) -> Config:
  """Returns the config that a `config.json` of transformers describes.

  What it leaves out has tiny's value, as there.

  Args:
    config: the parsed file.

  Raises:
    UserError: naming the key that asks for something jft's ConvNeXt is not.

  Source: transformers.ConvNextConfig.

  >>> from_hf({"depths": [3, 3, 27, 3], "image_size": 384}).stage_sizes
  (3, 3, 27, 3)
  """
  fixed = {"patch_size": 4, "num_stages": 4, "hidden_act": "gelu"}
  check_fixed("ConvNeXt", config, fixed)
  scale = config.get("layer_scale_init_value", 1e-6)
  if not scale:
    raise UserError(
      "config.json: layer_scale_init_value is 0, a ConvNeXt without scales;"
      " jft's has them."
    )
  return Config(
    stage_sizes=tuple(config.get("depths", Config.stage_sizes)),
    widths=tuple(config.get("hidden_sizes", Config.widths)),
    head_norm_eps=config.get("layer_norm_eps", 1e-12),
    layer_scale=scale,
    drop_path=config.get("drop_path_rate", 0.0),
    image_size=config.get("image_size", 224),
    in_channels=config.get("num_channels", 3),
  )


def to_hf(config: Config, headed: bool, model_type: str = "") -> dict[str, Any]:
  """Returns the settings that `from_hf` reads this config from.

  Args:
    config: what transformers has no word for is left out.
    headed: whether there is a classifier.
    model_type: not needed, there is one.

  >>> config = PRESETS["convnext_small"]
  >>> from_hf(to_hf(config, True)) == config
  True
  """
  del model_type
  task = "ForImageClassification" if headed else "Model"
  return {
    "model_type": "convnext",
    "architectures": [f"ConvNext{task}"],
    "patch_size": 4,
    "num_stages": 4,
    "hidden_act": "gelu",
    "depths": list(config.stage_sizes),
    "hidden_sizes": list(config.widths),
    "layer_norm_eps": config.head_norm_eps,
    "layer_scale_init_value": config.layer_scale,
    "drop_path_rate": config.drop_path,
    "image_size": config.image_size,
    "num_channels": config.in_channels,
  }
