"""Vision transformers by the config.json of transformers."""

import reprlib
import types
from typing import Any

from jft.errors import UserError, did_you_mean
from jft.models.activations import ACTIVATIONS
from jft.models.hf_fixed import check_fixed
from jft.models.vit_config import Config
from jft.typing import Mapping

MODEL_TYPES = (
  "vit",
  "deit",
  "dinov2",
  "dinov2_with_registers",
  "clip",
  "clip_vision_model",
)


def from_hf(config: Mapping[str, Any]) -> Config:
  """Returns the config that a `config.json` of transformers describes.

  What it leaves out has the value that it has there. Of a whole CLIP only the
  image tower is described.

  Args:
    config: the parsed file.

  Raises:
    UserError: naming the key that asks for something jft's ViT is not.

  Source: transformers.ViTConfig, DeiTConfig, Dinov2Config,
  Dinov2WithRegistersConfig, CLIPConfig and CLIPVisionConfig.

  >>> from_hf({"model_type": "deit", "hidden_size": 192,
  ...   "num_attention_heads": 3, "intermediate_size": 768}).distillation
  'token'
  """
  kind = config.get("model_type", "vit")
  if kind not in MODEL_TYPES:
    raise UserError(
      f"config.json: model_type is {kind!r}, jft's ViT is one of"
      f" {', '.join(MODEL_TYPES)}."
    )
  tasks = " ".join(config.get("architectures") or ())
  if kind == "clip":
    return _clip(config.get("vision_config") or {}, tasks, config)
  if kind == "clip_vision_model":
    return _clip(config, tasks, config)
  fields = _fields(config, _COMMON | _DROPOUTS)
  if kind.startswith("dinov2"):
    return _dinov2(config, tasks, fields)
  _check_fixed(config, {"pooler_act": "tanh"})
  fields = {"norm_eps": 1e-12, **fields}
  fields |= _fields(config, _WIDE)
  if kind == "deit":
    fields["distillation"] = "head" if "WithTeacher" in tasks else "token"
  return Config(**fields)


_COMMON = types.MappingProxyType(
  {
    "hidden_size": "width",
    "num_hidden_layers": "depth",
    "num_attention_heads": "heads",
    "num_channels": "in_channels",
    "patch_size": "patch_size",
    "image_size": "image_size",
    "hidden_act": "activation",
    "layer_norm_eps": "norm_eps",
    "qkv_bias": "qkv_bias",
  }
)
_WIDE = types.MappingProxyType({"intermediate_size": "mlp_width"})
_DROPOUTS = types.MappingProxyType(
  {
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
  }
)


def _fields(
  config: Mapping[str, Any], names: Mapping[str, str]
) -> dict[str, Any]:
  """Returns the fields that some keys of a file set."""
  found = {}
  for key, field in names.items():
    value = config.get(key)
    if value is None:
      continue
    if field in ("patch_size", "image_size"):
      value = _square(key, value)
    if field == "activation" and value not in ACTIVATIONS:
      raise UserError(
        f"config.json: {key} must be one of {', '.join(ACTIVATIONS)}, got"
        f" {reprlib.repr(value)}.{did_you_mean(str(value), ACTIVATIONS)}"
      )
    found[field] = value
  return found


def _square(key: str, value: Any) -> Any:
  if not isinstance(value, list | tuple):
    return value
  if len(set(value)) != 1:
    raise UserError(
      f"config.json: {key} is {reprlib.repr(value)}, jft's ViT only reads"
      " squares."
    )
  return value[0]


def _check_fixed(config: Mapping[str, Any], fixed: Mapping[str, Any]) -> None:
  check_fixed("ViT", config, {"quantization_config": None, **fixed})


def _dinov2(
  config: Mapping[str, Any], tasks: str, fields: dict[str, Any]
) -> Config:
  # Its drop path is the same for all blocks, jft's rises from block to block.
  _check_fixed(config, {"drop_path_rate": 0.0, "use_mask_token": True})
  registered = config.get("model_type") == "dinov2_with_registers"
  fields = {"patch_size": 14, **fields}
  wide = int(fields.get("width", 768) * config.get("mlp_ratio", 4))
  if config.get("use_swiglu_ffn"):
    # Two thirds, so that the gate costs no parameters, in multiples of 8.
    wide = (int(wide * 2 / 3) + 7) // 8 * 8
    fields |= {"gated": True, "activation": "silu"}
  return Config(
    **fields,
    mlp_width=wide,
    layer_scale=config.get("layerscale_value", 1.0),
    registers=config.get("num_register_tokens", 4) if registered else 0,
    positions="class" if registered else "all",
    pooling="cls_mean" if "ForImageClassification" in tasks else "cls",
    recipe="dinov2",
  )


def _clip(
  tower: Mapping[str, Any], tasks: str, config: Mapping[str, Any]
) -> Config:
  _check_fixed(tower, {})
  fields: dict[str, Any] = {
    "patch_size": 32,
    "activation": "quick_gelu",
    "norm_eps": 1e-5,
  }
  fields |= _fields(tower, _COMMON | _WIDE)
  fields |= _fields(tower, {"attention_dropout": "attention_dropout"})
  if "ForImageClassification" in tasks:
    # Its head reads the mean of the patches before the last norm.
    fields |= {"pooling": "mean", "norm": "none"}
  elif "WithProjection" in tasks or "CLIPModel" in tasks:
    fields["projection"] = config.get("projection_dim") or 512
  if fields["activation"] == "quick_gelu":
    fields["recipe"] = "openai"
  return Config(**fields, patch_bias=False, embeddings_norm=True)
