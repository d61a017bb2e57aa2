"""Vision transformers: jft's names to transformers', in PyTorch and Flax."""

import dataclasses
import functools
import re
from typing import Any, Protocol

from jft.errors import UserError
from jft.pretrained.dialect import Dialect, Shapes
from jft.pretrained.layouts import Entry, Part, View
from jft.pretrained.names.spelling import FLAX, TORCH, Spelling
from jft.pretrained.preprocessing import (
  OPENAI_MEAN,
  OPENAI_STD,
  Preprocessing,
)
from jft.typing import Rules


class Config(Protocol):
  """The fields read here; `jft.models.vit.Config` has them all."""

  @property
  def width(self) -> int: ...
  @property
  def depth(self) -> int: ...
  @property
  def image_size(self) -> int: ...
  @property
  def patches(self) -> int: ...
  @property
  def gated(self) -> bool: ...
  @property
  def qkv_bias(self) -> bool: ...
  @property
  def layer_scale(self) -> float: ...
  @property
  def distillation(self) -> str: ...
  @property
  def registers(self) -> int: ...
  @property
  def pooling(self) -> str: ...
  @property
  def norm(self) -> str: ...
  @property
  def projection(self) -> int: ...
  @property
  def recipe(self) -> str: ...


VIT_ANCHOR = "embeddings.cls_token"
CLIP_ANCHOR = "embeddings.class_embedding"


def table(
  config: Config, shapes: Shapes, spelling: Spelling = TORCH
) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in a ViT, DeiT or DINOv2}.

  The head is always listed; a model without one has no such variables.

  Args:
    config: of the model.
    shapes: of the source, which tell the prefix of its names.
    spelling: PyTorch's or Flax's.

  Source: what transformers saves of ViTForImageClassification,
  DeiTForImageClassificationWithTeacher, Dinov2ForImageClassification and
  Dinov2WithRegistersForImageClassification.
  """
  root = _prefix(VIT_ANCHOR, shapes, spelling, "vit.")
  layer, theirs = spelling, f"{root}embeddings"
  entries = layer.conv(
    "embeddings/patch", f"{theirs}.patch_embeddings.projection"
  )
  tokens = {"class_token": "cls_token", "position": "position_embeddings"}
  if config.distillation != "none":
    tokens["distillation_token"] = "distillation_token"
  if config.registers:
    tokens["registers"] = "register_tokens"
  for own, name in tokens.items():
    entries |= layer.leaf(f"embeddings/{own}/embedding", f"{theirs}.{name}")
  for i in range(config.depth):
    entries |= _block(
      config, f"block_{i:02d}", f"{root}encoder.layer.{i}", layer
    )
  entries |= layer.norm("norm", f"{root}layernorm")
  if config.pooling == "cls_pooler":
    entries |= layer.dense("pooler", f"{root}pooler.dense")
  if config.distillation == "head":
    return (
      entries
      | layer.dense("head/class", "cls_classifier")
      | layer.dense("head/distilled", "distillation_classifier")
    )
  return entries | layer.dense("head", "classifier")


def clip_table(
  config: Config, shapes: Shapes, spelling: Spelling = TORCH
) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in CLIP's image tower}.

  Args:
    config, shapes, spelling: as for `table`.

  Source: what transformers saves of CLIPVisionModelWithProjection, CLIPModel
  and CLIPForImageClassification.
  """
  root = _prefix(CLIP_ANCHOR, shapes, spelling, "vision_model.")
  layer, theirs = spelling, f"{root}embeddings"
  entries = layer.conv(
    "embeddings/patch", f"{theirs}.patch_embedding", bias=False
  )
  token = layer.name(f"{theirs}.class_embedding")
  position = layer.name(f"{theirs}.position_embedding.{layer.embedding}")
  d = config.width
  rows = (*shapes.get(position, ()), config.patches + 1)[0]
  # The file's own number of rows: they may have to be resized.
  entries |= {
    "params/embeddings/class_token/embedding": Entry(
      token, view=View((d,), (1, 1, d))
    ),
    "params/embeddings/position/embedding": Entry(
      position, view=View((rows, d), (1, rows, d))
    ),
  }
  entries |= layer.norm("embeddings/norm", f"{root}pre_layrnorm")
  for i in range(config.depth):
    ours, block = f"block_{i:02d}", f"{root}encoder.layers.{i}"
    entries |= layer.norm(f"{ours}/attention_norm", f"{block}.layer_norm1")
    for kind in ("query", "key", "value", "out"):
      name = "out" if kind == "out" else kind[0]
      entries |= layer.dense(
        f"{ours}/attention/{kind}", f"{block}.self_attn.{name}_proj"
      )
    entries |= layer.norm(f"{ours}/mlp_norm", f"{block}.layer_norm2")
    entries |= layer.dense(f"{ours}/mlp/up", f"{block}.mlp.fc1")
    entries |= layer.dense(f"{ours}/mlp/down", f"{block}.mlp.fc2")
  if config.norm != "none":
    entries |= layer.norm("norm", f"{root}post_layernorm")
  if config.projection:
    entries |= layer.dense("projection", "visual_projection", bias=False)
  return entries | layer.dense("head", "classifier")


def dropped(config: Config) -> Rules:
  """Returns what a ViT's file may hold that jft never needs, and why."""
  rules = [
    (
      r"(.*[./])?embeddings[./]mask_token",
      "stands for hidden patches in the pretraining",
    ),
    (r"decoder[./].*", "the head of the pretraining"),
  ]
  if config.pooling != "cls_pooler":
    reason = f"pooling {config.pooling!r} does without the pooler"
    rules.append((r"(.*[./])?pooler[./]dense[./].*", reason))
  return rules


def clip_dropped(config: Config) -> Rules:
  """Returns what CLIP's file may hold that its image tower does not need."""
  rules = [
    (r"text_model[./].*", "the text tower of CLIP"),
    (r"text_projection[./].*", "the text tower's projection"),
    ("logit_scale", "scales the similarity of images and texts"),
    (
      r"(.*[./])?position_ids",
      "a constant that older releases of transformers saved",
    ),
  ]
  if not config.projection:
    rules.append((r"visual_projection[./].*", "left out by projection=0"))
  if config.norm == "none":
    rules.append((r"(.*[./])?post_layernorm[./].*", "norm='none' needs none"))
  return rules


def clip_preprocessing(config: Config) -> Preprocessing | None:
  """Returns OpenAI's preparation for OpenAI's models."""
  if config.recipe != "openai":
    return None
  return Preprocessing(
    config.image_size, OPENAI_MEAN, OPENAI_STD, "bicubic", 1.0
  )


def check(config: Config, shapes: Shapes) -> None:
  """Checks that a file has as many blocks as the architecture.

  Raises:
    UserError: saying how many there are.
  """
  pattern = r"(?!text_model)(.*[./])?encoder[./]layers?[./](\d+)[./]"
  found = [re.match(pattern, name) for name in shapes]
  depth = 1 + max((int(m[2]) for m in found if m), default=-1)
  if depth != config.depth:
    raise UserError(
      f"the file holds a vision transformer of {depth} blocks, the arch has"
      f" {config.depth}. Change the arch, or give the file that fits it."
    )


def _prefix(anchor: str, shapes: Shapes, spelling: Spelling, usual: str) -> str:
  """Returns what stands before the tower's names, dotted."""
  end = spelling.name(anchor)
  found = [name for name in shapes if _ends(name, end)]
  if not found:
    return usual
  return found[0].removesuffix(end).replace(spelling.separator, ".")


def _ends(name: str, end: str) -> bool:
  return re.fullmatch(rf"(.*[./])?{re.escape(end)}", name) is not None


def _block(
  config: Config, ours: str, theirs: str, layer: Spelling
) -> dict[str, Entry]:
  attention, dino = f"{theirs}.attention", bool(config.layer_scale)
  norms = (
    ("norm1", "norm2") if dino else ("layernorm_before", "layernorm_after")
  )
  entries = layer.norm(f"{ours}/attention_norm", f"{theirs}.{norms[0]}")
  for name in ("query", "key", "value"):
    entries |= layer.dense(
      f"{ours}/attention/{name}",
      f"{attention}.attention.{name}",
      bias=config.qkv_bias,
    )
  entries |= layer.dense(f"{ours}/attention/out", f"{attention}.output.dense")
  entries |= layer.norm(f"{ours}/mlp_norm", f"{theirs}.{norms[1]}")
  if not dino:
    return (
      entries
      | layer.dense(f"{ours}/mlp/up", f"{theirs}.intermediate.dense")
      | layer.dense(f"{ours}/mlp/down", f"{theirs}.output.dense")
    )
  for i, kind in enumerate(("attention", "mlp"), 1):
    entries |= layer.leaf(
      f"{ours}/{kind}_scale/scale", f"{theirs}.layer_scale{i}.lambda1"
    )
  if not config.gated:
    return (
      entries
      | layer.dense(f"{ours}/mlp/up", f"{theirs}.mlp.fc1")
      | layer.dense(f"{ours}/mlp/down", f"{theirs}.mlp.fc2")
    )
  joined = f"{theirs}.mlp.weights_in"
  return (
    entries
    | layer.dense(f"{ours}/mlp/gate", joined, part=Part(0, 2))
    | layer.dense(f"{ours}/mlp/up", joined, part=Part(1, 2))
    | layer.dense(f"{ours}/mlp/down", f"{theirs}.mlp.weights_out")
  )


def _dialect(name: str, spelling: Spelling, anchor: str) -> Dialect:
  clip = anchor == CLIP_ANCHOR
  end = spelling.name(anchor)
  return Dialect(
    name,
    fits=lambda shapes: any(_ends(found, end) for found in shapes),
    table=functools.partial(clip_table if clip else table, spelling=spelling),
    dropped=clip_dropped if clip else dropped,
    head=r"(classifier|cls_classifier|distillation_classifier)[./]\w+",
    adjust=_class_position,
    check=check,
    preprocessing=clip_preprocessing if clip else lambda config: None,
  )


def _class_position(config: Any) -> Any:
  """Registers have no positions here, the class token has one."""
  if not config.registers:
    return config
  return dataclasses.replace(config, positions="class")


DIALECTS = (
  _dialect("hf", TORCH, VIT_ANCHOR),
  _dialect("hf_clip", TORCH, CLIP_ANCHOR),
  _dialect("flax", FLAX, VIT_ANCHOR),
  _dialect("flax_clip", FLAX, CLIP_ANCHOR),
)
