"""Vision transformers: jft's names to timm's and to DINOv2's own."""

import dataclasses
import re
from typing import Protocol

from jft.errors import UserError
from jft.pretrained.dialect import Dialect, Shapes
from jft.pretrained.layouts import Entry, Part
from jft.pretrained.names import vit_google, vit_hf
from jft.pretrained.names.spelling import TORCH
from jft.pretrained.preprocessing import (
  OPENAI_MEAN,
  OPENAI_STD,
  Preprocessing,
)
from jft.typing import Rules


class Config(Protocol):
  """The fields read here; `jft.models.vit.Config` has them all."""

  @property
  def depth(self) -> int: ...
  @property
  def image_size(self) -> int: ...
  @property
  def gated(self) -> bool: ...
  @property
  def qkv_bias(self) -> bool: ...
  @property
  def patch_bias(self) -> bool: ...
  @property
  def embeddings_norm(self) -> bool: ...
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


def table(config: Config, shapes: Shapes) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in a state dict of timm}.

  The head is always listed; a model without one has no such variables.

  Args:
    config: of the model.
    shapes: of the source; LayerScale has two names there.

  Raises:
    UserError: for a projection, which timm writes as the head.

  Source: timm.models.vision_transformer.VisionTransformer.state_dict and
  VisionTransformerDistilled's.
  """
  if config.projection:
    raise UserError(
      "timm writes CLIP's projection down as the head: load with projection=0."
    )
  entries = TORCH.conv(
    "embeddings/patch", "patch_embed.proj", bias=config.patch_bias
  )
  entries |= TORCH.leaf("embeddings/class_token/embedding", "cls_token")
  entries |= TORCH.leaf("embeddings/position/embedding", "pos_embed")
  if config.distillation != "none":
    entries |= TORCH.leaf(
      "embeddings/distillation_token/embedding", "dist_token"
    )
  if config.registers:
    entries |= TORCH.leaf("embeddings/registers/embedding", "reg_token")
  if config.embeddings_norm:
    entries |= TORCH.norm("embeddings/norm", "norm_pre")
  scale = "gamma_{}" if "blocks.0.gamma_1" in shapes else "ls{}.gamma"
  for i in range(config.depth):
    entries |= _block(config, f"block_{i:02d}", f"blocks.{i}", scale)
  if config.norm != "none":
    entries |= TORCH.norm(
      "norm", "norm" if config.norm == "tokens" else "fc_norm"
    )
  if config.pooling == "cls_pooler":
    entries |= TORCH.dense("pooler", "pre_logits.fc")
  if config.distillation == "head":
    return (
      entries
      | TORCH.dense("head/class", "head")
      | TORCH.dense("head/distilled", "head_dist")
    )
  return entries | TORCH.dense("head", "head")


def preprocessing(config: Config) -> Preprocessing | None:
  """Returns how images were prepared, where all of a recipe's models agree.

  Source: timm's pretrained_cfg of these models.
  """
  size = config.image_size
  crop = 0.9 if size == 224 and config.recipe == "deit" else 1.0
  if config.recipe in ("deit", "dinov2"):
    return Preprocessing(size, resize="bicubic", crop_pct=crop)
  if config.recipe == "openai":
    return Preprocessing(size, OPENAI_MEAN, OPENAI_STD, "bicubic", crop)
  return None


def above_pre_logits(dialect: Dialect, anchor: str) -> Dialect:
  """Returns a dialect for files whose head stands on one more layer.

  Without that layer (`pooling="cls"`, as it is fine-tuned) the head would
  compute something else, so it is dropped as well.

  Args:
    dialect: of files without it.
    anchor: a name of the layer.
  """
  layer = re.escape(anchor.rpartition("pre_logits")[0]) + r"pre_logits\b.*"

  def table(config: Config, shapes: Shapes) -> dict[str, Entry]:
    entries = dialect.table(config, shapes)
    if config.pooling == "cls_pooler":
      return dict(entries)
    return {
      name: entry
      for name, entry in entries.items()
      if not name.startswith("params/head/")
    }

  def dropped(config: Config) -> Rules:
    rules = tuple(dialect.dropped(config))
    if config.pooling == "cls_pooler":
      return rules
    return (
      (layer, "a layer of the pretraining; pooling='cls_pooler' keeps it"),
      (dialect.head, "it stands on the layer of the pretraining, dropped"),
      *rules,
    )

  return dataclasses.replace(
    dialect,
    name=f"{dialect.name}_pre_logits",
    fits=lambda shapes: anchor in shapes and dialect.fits(shapes),
    table=table,
    dropped=dropped,
  )


def check(config: Config, shapes: Shapes) -> None:
  """Checks that a file has as many blocks as the architecture.

  Raises:
    UserError: saying how many there are.
  """
  found = [re.match(r"blocks\.(\d+)\.", name) for name in shapes]
  depth = 1 + max((int(m[1]) for m in found if m), default=-1)
  if depth != config.depth:
    raise UserError(
      f"the file holds a vision transformer of {depth} blocks, the arch has"
      f" {config.depth}. Change the arch, or give the file that fits it."
    )


def _block(
  config: Config, ours: str, theirs: str, scale: str
) -> dict[str, Entry]:
  entries = TORCH.norm(f"{ours}/attention_norm", f"{theirs}.norm1")
  for i, name in enumerate(("query", "key", "value")):
    entries |= TORCH.dense(
      f"{ours}/attention/{name}",
      f"{theirs}.attn.qkv",
      bias=config.qkv_bias,
      part=Part(i, 3),
    )
  entries |= TORCH.dense(f"{ours}/attention/out", f"{theirs}.attn.proj")
  entries |= TORCH.norm(f"{ours}/mlp_norm", f"{theirs}.norm2")
  up, down = f"{theirs}.mlp.fc1", f"{theirs}.mlp.fc2"
  if config.gated:
    entries |= TORCH.dense(f"{ours}/mlp/gate", up, part=Part(0, 2))
    entries |= TORCH.dense(f"{ours}/mlp/up", up, part=Part(1, 2))
  else:
    entries |= TORCH.dense(f"{ours}/mlp/up", up)
  entries |= TORCH.dense(f"{ours}/mlp/down", down)
  if config.layer_scale:
    for i, kind in enumerate(("attention", "mlp"), 1):
      entries |= TORCH.leaf(
        f"{ours}/{kind}_scale/scale", f"{theirs}.{scale.format(i)}"
      )
  return entries


def _dinov2_table(config: Config, shapes: Shapes) -> dict[str, Entry]:
  names = {
    r"^reg_token$": "register_tokens",
    r"\.mlp\.fc1\.": ".mlp.w12." if config.gated else ".mlp.fc1.",
    r"\.mlp\.fc2\.": ".mlp.w3." if config.gated else ".mlp.fc2.",
  }
  entries = {}
  for name, entry in table(config, shapes).items():
    source = entry.source
    for theirs, own in names.items():
      source = re.sub(theirs, own, source)
    entries[name] = dataclasses.replace(entry, source=source)
  return entries


TIMM = Dialect(
  "timm",
  fits=lambda shapes: (
    "patch_embed.proj.weight" in shapes
    and "blocks.0.attn.qkv.weight" in shapes
    and "cls_token" in shapes
  ),
  table=table,
  dropped=lambda config: (),
  head=r"(head|head_dist)\.(weight|bias)",
  check=check,
  preprocessing=preprocessing,
)

# What Meta publishes: the class token has a position, registers have none.
DINOV2 = dataclasses.replace(
  TIMM,
  name="dinov2",
  fits=lambda shapes: TIMM.fits(shapes) and "mask_token" in shapes,
  table=_dinov2_table,
  dropped=lambda config: (
    ("mask_token", "stands for hidden patches in the pretraining"),
  ),
  adjust=lambda config: dataclasses.replace(
    config, positions="class" if config.registers else "all"
  ),
)

DIALECTS = (
  above_pre_logits(TIMM, "pre_logits.fc.weight"),
  DINOV2,
  TIMM,
  *vit_hf.DIALECTS,
  above_pre_logits(vit_google.GOOGLE, "pre_logits/kernel"),
  vit_google.GOOGLE,
)
