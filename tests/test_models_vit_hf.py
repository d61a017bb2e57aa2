"""Vision transformers by config.json: every setting arrives or is refused."""

import dataclasses

import pytest

from jft.errors import UserError
from jft.models import vit
from jft.models.vit_hf import from_hf

# config.json of facebook/deit-small-distilled-patch16-224, in its main parts.
DEIT = {
  "architectures": ["DeiTForImageClassificationWithTeacher"],
  "attention_probs_dropout_prob": 0.0,
  "hidden_act": "gelu",
  "hidden_dropout_prob": 0.0,
  "hidden_size": 384,
  "image_size": 224,
  "initializer_range": 0.02,
  "intermediate_size": 1536,
  "layer_norm_eps": 1e-12,
  "model_type": "deit",
  "num_attention_heads": 6,
  "num_channels": 3,
  "num_hidden_layers": 12,
  "patch_size": 16,
}
# config.json of facebook/dinov2-giant, in its main parts.
DINOV2 = {
  "architectures": ["Dinov2Model"],
  "hidden_act": "gelu",
  "hidden_size": 1536,
  "image_size": 518,
  "layer_norm_eps": 1e-06,
  "layerscale_value": 1e-5,
  "mlp_ratio": 4,
  "model_type": "dinov2",
  "num_attention_heads": 24,
  "num_hidden_layers": 40,
  "patch_size": 14,
  "qkv_bias": True,
  "use_swiglu_ffn": True,
}
# The vision_config of openai/clip-vit-large-patch14, in its main parts.
TOWER = {
  "hidden_size": 1024,
  "intermediate_size": 4096,
  "num_attention_heads": 16,
  "num_hidden_layers": 24,
  "patch_size": 14,
  "image_size": 224,
  "hidden_act": "quick_gelu",
  "layer_norm_eps": 1e-05,
}


def changed(preset, **changes):
  return dataclasses.replace(vit.PRESETS[preset], **changes)


def test_known_models_are_their_presets():
  deit = changed("deit_small_distilled_patch16_224", norm_eps=1e-12, recipe="")
  assert from_hf(DEIT) == deit
  assert from_hf(DINOV2) == vit.PRESETS["vit_giant_patch14_dinov2"]
  clip = vit.PRESETS["vit_large_patch14_clip_quickgelu_224"]
  assert from_hf({"model_type": "clip_vision_model", **TOWER}) == clip
  whole = {
    "model_type": "clip",
    "architectures": ["CLIPModel"],
    "projection_dim": 768,
    "vision_config": TOWER,
  }
  assert from_hf(whole) == dataclasses.replace(clip, projection=768)


def test_what_a_file_leaves_out_is_as_in_transformers():
  plain = vit.Config(norm_eps=1e-12)
  assert from_hf({"model_type": "vit"}) == plain
  deit = from_hf({"model_type": "deit"})
  assert deit == dataclasses.replace(plain, distillation="token")
  dino = from_hf({"model_type": "dinov2"})
  assert (dino.patch_size, dino.image_size, dino.layer_scale) == (14, 224, 1.0)
  registers = from_hf({"model_type": "dinov2_with_registers"})
  assert (registers.registers, registers.positions) == (4, "class")
  clip = from_hf({"model_type": "clip"})
  assert (clip.patch_size, clip.activation) == (32, "quick_gelu")


def test_every_setting_arrives():
  settings = {
    "model_type": "vit",
    "hidden_size": 6,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 5,
    "num_channels": 4,
    "patch_size": [7, 7],
    "image_size": 21,
    "hidden_act": "relu",
    "layer_norm_eps": 0.25,
    "qkv_bias": False,
    "hidden_dropout_prob": 0.5,
    "attention_probs_dropout_prob": 0.75,
  }
  assert from_hf(settings) == vit.Config(
    width=6,
    depth=3,
    heads=2,
    mlp_width=5,
    in_channels=4,
    patch_size=7,
    image_size=21,
    activation="relu",
    norm_eps=0.25,
    qkv_bias=False,
    dropout=0.5,
    attention_dropout=0.75,
  )


@pytest.mark.parametrize(
  ("tasks", "pooling", "norm"),
  [
    ("Dinov2ForImageClassification", "cls_mean", "tokens"),
    ("CLIPForImageClassification", "mean", "none"),
    ("ViTForImageClassification", "cls", "tokens"),
  ],
)
def test_the_head_that_a_file_has_tells_the_pooling(tasks, pooling, norm):
  kind = tasks.partition("For")[0].lower()
  config = from_hf({"model_type": kind, "architectures": [tasks]})
  assert (config.pooling, config.norm) == (pooling, norm)


@pytest.mark.parametrize(
  ("kind", "key", "value"),
  [
    ("vit", "model_type", "beit"),
    ("vit", "hidden_act", "swish_2"),
    ("vit", "pooler_act", "relu"),
    ("vit", "image_size", [224, 448]),
    ("dinov2", "drop_path_rate", 0.1),
  ],
)
def test_a_setting_that_vit_has_not_is_named(kind, key, value):
  with pytest.raises(UserError, match=rf"config\.json: {key} "):
    from_hf({"model_type": kind, key: value})
