"""Vision transformers into the config.json of transformers."""

import math
from typing import Any

from jft.models.vit_config import Config


def to_hf(config: Config, headed: bool, model_type: str = "") -> dict[str, Any]:
  """Returns the settings that `vit_hf.from_hf` reads this config from.

  Args:
    config: what transformers has no word for (ViT's `pooling`) is left out.
    headed: whether there is a classifier.
    model_type: of the source, for the two names of CLIP's tower.

  Source: transformers.ViTConfig, DeiTConfig, Dinov2Config,
  Dinov2WithRegistersConfig, CLIPConfig and CLIPVisionConfig.

  >>> from jft.models.vit_hf import from_hf
  >>> config = Config(distillation="head", norm_eps=1e-12)
  >>> from_hf(to_hf(config, True)) == config
  True
  """
  del model_type
  if config.embeddings_norm and not config.patch_bias:
    return _clip(config, headed)
  if config.layer_scale:
    return _dinov2(config, headed)
  task = "ForImageClassification" if headed else "Model"
  distilled = config.distillation != "none"
  if config.distillation == "head" and headed:
    task += "WithTeacher"
  return {
    "model_type": "deit" if distilled else "vit",
    "architectures": [f"{'DeiT' if distilled else 'ViT'}{task}"],
    **_common(config),
    "intermediate_size": config.mlp_width,
    "hidden_dropout_prob": config.dropout,
    "attention_probs_dropout_prob": config.attention_dropout,
    "pooler_act": "tanh",
  }


def _common(config: Config) -> dict[str, Any]:
  return {
    "hidden_size": config.width,
    "num_hidden_layers": config.depth,
    "num_attention_heads": config.heads,
    "num_channels": config.in_channels,
    "patch_size": config.patch_size,
    "image_size": config.image_size,
    "hidden_act": config.activation,
    "layer_norm_eps": config.norm_eps,
    "qkv_bias": config.qkv_bias,
  }


def _dinov2(config: Config, headed: bool) -> dict[str, Any]:
  name, more = "Dinov2", {}
  if config.registers:
    name, more = (
      "Dinov2WithRegisters",
      {"num_register_tokens": config.registers},
    )
  # With the gate it stands for two thirds of what it says, rounded up to 8.
  wide = config.mlp_width * 3 / 2 if config.gated else config.mlp_width
  return {
    "model_type": "dinov2_with_registers" if config.registers else "dinov2",
    "architectures": [
      f"{name}{'ForImageClassification' if headed else 'Model'}"
    ],
    **_common(config),
    **({"hidden_act": "gelu"} if config.gated else {}),
    **more,
    "hidden_dropout_prob": config.dropout,
    "attention_probs_dropout_prob": config.attention_dropout,
    "mlp_ratio": _ratio(wide, config.width),
    "use_swiglu_ffn": config.gated,
    "layerscale_value": config.layer_scale,
    "drop_path_rate": 0.0,
  }


def _ratio(wide: float, width: int) -> int | float:
  """A whole number where it can be: transformers' files have one."""
  ratio = wide / width
  near = round(ratio)
  return near if math.isclose(ratio, near, rel_tol=1e-2) else ratio


def _clip(config: Config, headed: bool) -> dict[str, Any]:
  tower = {
    **_common(config),
    "intermediate_size": config.mlp_width,
    "attention_dropout": config.attention_dropout,
  }
  tower.pop("qkv_bias")
  if headed:
    return {
      "model_type": "clip",
      "architectures": ["CLIPForImageClassification"],
      "vision_config": {"model_type": "clip_vision_model", **tower},
    }
  task = "WithProjection" if config.projection else ""
  return {
    "model_type": "clip_vision_model",
    "architectures": [f"CLIPVisionModel{task}"],
    **({"projection_dim": config.projection} if config.projection else {}),
    **tower,
  }
