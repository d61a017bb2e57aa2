"""The vision transformers that have names: timm's."""

import dataclasses
import types
from typing import Any

from jft.models.vit_config import Config
from jft.typing import Mapping

_SIZES: Mapping[str, Mapping[str, Any]] = types.MappingProxyType(
  {
    "tiny": {"width": 192, "heads": 3, "mlp_width": 768},
    "small": {"width": 384, "heads": 6, "mlp_width": 1536},
    "medium": {"width": 512, "heads": 8, "mlp_width": 2048},
    "base": {},
    "large": {"width": 1024, "depth": 24, "heads": 16, "mlp_width": 4096},
    "huge": {"width": 1280, "depth": 32, "heads": 16, "mlp_width": 5120},
    # DINOv2's; another giant, without the gate, is not here.
    "giant": {
      "width": 1536,
      "depth": 40,
      "heads": 24,
      "mlp_width": 4096,
      "gated": True,
      "activation": "silu",
    },
  }
)


def _vits() -> dict[str, Config]:
  sizes = [
    *(("tiny", 16, side) for side in (224, 384)),
    *((s, p, side) for s in ("small", "base") for p in (16, 32)
      for side in (224, 384)),
    *(("large", p, side) for p in (16, 32) for side in (224, 384)),
    ("small", 8, 224),
    ("base", 8, 224),
    ("huge", 14, 224),
  ]  # fmt: skip
  return {
    f"vit_{size}_patch{patch}_{side}": Config(
      **_SIZES[size], patch_size=patch, image_size=side
    )
    for size, patch, side in sizes
  }


def _deits() -> dict[str, Config]:
  found = {}
  for size, side in (
    ("tiny", 224),
    ("small", 224),
    ("base", 224),
    ("base", 384),
  ):
    plain = Config(**_SIZES[size], image_size=side, recipe="deit")
    found[f"deit_{size}_patch16_{side}"] = plain
    found[f"deit_{size}_distilled_patch16_{side}"] = dataclasses.replace(
      plain, distillation="head"
    )
  third = {"layer_scale": 1e-6, "positions": "patches", "recipe": "deit"}
  for size, patch, sides in (
    ("small", 16, (224, 384)),
    ("medium", 16, (224,)),
    ("base", 16, (224, 384)),
    ("large", 16, (224, 384)),
    ("huge", 14, (224,)),
  ):
    for side in sides:
      found[f"deit3_{size}_patch{patch}_{side}"] = Config(
        **_SIZES[size], patch_size=patch, image_size=side, **third
      )
  return found


def _dinos() -> dict[str, Config]:
  found = {}
  for size in ("small", "base", "large", "giant"):
    plain = Config(
      **_SIZES[size],
      patch_size=14,
      image_size=518,
      layer_scale=1e-5,
      recipe="dinov2",
    )
    found[f"vit_{size}_patch14_dinov2"] = plain
    # timm has added the class token's position to the token itself.
    found[f"vit_{size}_patch14_reg4_dinov2"] = dataclasses.replace(
      plain, registers=4, positions="patches"
    )
  return found


def _clips() -> dict[str, Config]:
  found = {}
  for size, patch, side in (
    ("base", 32, 224),
    ("base", 16, 224),
    ("large", 14, 224),
    ("large", 14, 336),
    ("huge", 14, 224),
  ):
    plain = Config(
      **_SIZES[size],
      patch_size=patch,
      image_size=side,
      norm_eps=1e-5,
      patch_bias=False,
      embeddings_norm=True,
    )
    found[f"vit_{size}_patch{patch}_clip_{side}"] = plain
    # OpenAI's, and those trained in their manner.
    found[f"vit_{size}_patch{patch}_clip_quickgelu_{side}"] = (
      dataclasses.replace(plain, activation="quick_gelu", recipe="openai")
    )
  return found


PRESETS: Mapping[str, Config] = types.MappingProxyType(
  _vits() | _deits() | _dinos() | _clips()
)
