"""What every golden of a vision transformer is computed from; NumPy alone."""

import types

import numpy as np
from golden import weights

_SIZE = types.MappingProxyType(
  {"img_size": 16, "patch_size": 4, "embed_dim": 32, "num_heads": 4}
)
_HF_SIZE = types.MappingProxyType(
  {
    "image_size": 16,
    "patch_size": 4,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
  }
)
_MLP = types.MappingProxyType({"intermediate_size": 48})

TIMM = types.MappingProxyType(
  {
    "vit_plain": (
      "VisionTransformer",
      {**_SIZE, "depth": 3, "mlp_ratio": 1.5},
    ),
    # The norm behind the pooling, and no bias where one may be left out.
    "vit_mean": (
      "VisionTransformer",
      {**_SIZE, "depth": 1, "global_pool": "avg", "qkv_bias": False},
    ),
    "vit_distilled": (
      "VisionTransformerDistilled",
      {**_SIZE, "depth": 2},
    ),
    "vit_dinov2": (
      "VisionTransformer",
      {
        **_SIZE,
        "depth": 2,
        "init_values": 1e-5,
        "reg_tokens": 3,
        "no_embed_class": True,
        "mlp_ratio": 2.66667 * 2,
        "mlp_layer": "SwiGLUPacked",
        "act_layer": "silu",
      },
    ),
    "vit_clip": (
      "VisionTransformer",
      {
        **_SIZE,
        "depth": 2,
        "pre_norm": True,
        "norm_eps": 1e-2,
        "act_layer": "quick_gelu",
      },
    ),
  }
)
"""{case: (class of timm, its arguments)}; `norm_eps` becomes a norm_layer."""

HF = types.MappingProxyType(
  {
    "vit_hf": ("ViTForImageClassification", {**_HF_SIZE, **_MLP}),
    # An epsilon large enough to matter.
    "vit_hf_pooler": (
      "ViTModel",
      {**_HF_SIZE, **_MLP, "layer_norm_eps": 0.1, "hidden_act": "gelu_new"},
    ),
    "vit_hf_deit": (
      "DeiTForImageClassificationWithTeacher",
      {**_HF_SIZE, **_MLP},
    ),
    "vit_hf_deit_token": ("DeiTForImageClassification", {**_HF_SIZE, **_MLP}),
    "vit_hf_dinov2": (
      "Dinov2ForImageClassification",
      {**_HF_SIZE, "use_swiglu_ffn": True, "mlp_ratio": 2},
    ),
    "vit_hf_registers": (
      "Dinov2WithRegistersForImageClassification",
      {**_HF_SIZE, "num_register_tokens": 3},
    ),
    "vit_hf_clip": (
      "CLIPVisionModelWithProjection",
      {**_HF_SIZE, **_MLP, "projection_dim": 24},
    ),
    "vit_hf_clip_mean": (
      "CLIPForImageClassification",
      {"vision_config": {**_HF_SIZE, **_MLP}},
    ),
  }
)
"""{case: (class of transformers, settings of its config)}."""

CASES = (*TIMM, *HF)


def images(seed: int = 0) -> np.ndarray:
  """Returns the images [b h w c] of every case."""
  return weights.images(3, seed)[:, :16, :16]


def cotangent(name: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
  """Returns what an output is multiplied with to get a scalar loss."""
  return weights.draw(f"cotangent/{name}", shape, seed)


def positions() -> dict[str, tuple[np.ndarray, int, int]]:
  """Returns {case: (embeddings, new side, positions before the patches)}."""
  found = {}
  for old, new, prefix in (
    (14, 24, 1),
    (24, 14, 1),
    (9, 4, 5),
    (4, 6, 0),
    (2, 9, 2),
    (7, 7, 1),
    (9, 1, 1),
  ):
    name = f"{old}_{new}_{prefix}"
    shape = (1, prefix + old * old, 2)
    array = np.random.default_rng(old + new).standard_normal(shape, np.float32)
    found[name] = array, new, prefix
  return found


def google_shapes() -> dict[str, tuple[int, ...]]:
  """Returns the names and shapes of a .npz of Google's, as `vit_plain` is."""
  shapes = {
    "cls": (1, 1, 32),
    "embedding/bias": (32,),
    "embedding/kernel": (4, 4, 3, 32),
    "head/bias": (weights.CLASSES,),
    "head/kernel": (32, weights.CLASSES),
    "Transformer/encoder_norm/bias": (32,),
    "Transformer/encoder_norm/scale": (32,),
    "Transformer/posembed_input/pos_embedding": (1, 17, 32),
  }
  for i in range(3):
    block = f"Transformer/encoderblock_{i}"
    attention = f"{block}/MultiHeadDotProductAttention_1"
    for name in ("query", "key", "value"):
      shapes[f"{attention}/{name}/kernel"] = (32, 4, 8)
      shapes[f"{attention}/{name}/bias"] = (4, 8)
    shapes |= {
      f"{attention}/out/kernel": (4, 8, 32),
      f"{attention}/out/bias": (32,),
      f"{block}/MlpBlock_3/Dense_0/kernel": (32, 48),
      f"{block}/MlpBlock_3/Dense_0/bias": (48,),
      f"{block}/MlpBlock_3/Dense_1/kernel": (48, 32),
      f"{block}/MlpBlock_3/Dense_1/bias": (32,),
    }
    for norm in ("LayerNorm_0", "LayerNorm_2"):
      shapes[f"{block}/{norm}/scale"] = (32,)
      shapes[f"{block}/{norm}/bias"] = (32,)
  return shapes
