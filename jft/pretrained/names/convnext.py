"""ConvNeXt: jft's names to those of timm, torchvision, transformers and FB."""

import dataclasses
from typing import Any, NamedTuple, Protocol

from jft.pretrained.dialect import Dialect, Shapes
from jft.pretrained.layouts import Entry, View
from jft.pretrained.names.torch import TORCH
from jft.pretrained.preprocessing import Preprocessing, centred
from jft.typing import Callable


class Config(Protocol):
  """The fields read here; `jft.models.convnext.Config` has them all."""

  @property
  def stage_sizes(self) -> tuple[int, ...]: ...
  @property
  def widths(self) -> tuple[int, ...]: ...
  @property
  def stem(self) -> str: ...
  @property
  def image_size(self) -> int: ...


class Naming(NamedTuple):
  """How one project names a ConvNeXt.

  Attributes:
    stem: its convolutions and its norm.
    downsample: stage -> (norm, convolution) before it.
    block: (stage, block in it) -> names, in the order of `_BLOCK`.
    norm, head: after the blocks.
  """

  stem: tuple[str, ...]
  downsample: Callable[[int], tuple[str, ...]]
  block: Callable[[int, int], tuple[str, ...]]
  norm: str
  head: str


_BLOCK = ("depthwise", "norm", "up", "down", "layer_scale")


def _table(
  naming: Naming, config: Config, *, conv_mlp: bool = False, scale_ndim: int = 1
) -> dict[str, Entry]:
  """Returns {jft's variable name: its entry in a source}.

  Args:
    naming: of the project.
    config: of the network.
    conv_mlp: the dense layers are stored as 1x1 convolutions.
    scale_ndim: axes of a branch's scale, of which the first alone counts.
  """
  *convs, norm = naming.stem
  entries = TORCH.layer_norm("stem/norm", norm)
  for ours, theirs in zip(("conv", "conv2"), convs, strict=False):
    entries |= TORCH.conv(f"stem/{ours}", theirs, bias=True)
  number = 0
  for stage, blocks in enumerate(config.stage_sizes):
    width = config.widths[stage]
    for i in range(blocks):
      ours = f"block_{number:02d}"
      if stage and i == 0:
        norm, conv = naming.downsample(stage)
        entries |= TORCH.layer_norm(f"{ours}/downsample/norm", norm)
        entries |= TORCH.conv(f"{ours}/downsample/conv", conv, bias=True)
      depthwise, norm, up, down, scale = naming.block(stage, i)
      entries |= TORCH.depthwise(f"{ours}/depthwise", depthwise, bias=True)
      entries |= TORCH.layer_norm(f"{ours}/norm", norm)
      for kind, theirs, shape in (
        ("up", up, (4 * width, width)),
        ("down", down, (width, 4 * width)),
      ):
        entries |= TORCH.dense(f"{ours}/{kind}", theirs)
        if conv_mlp:
          kernel = f"params/{ours}/{kind}/kernel"
          view = View((*shape, 1, 1), shape)
          entries[kernel] = dataclasses.replace(entries[kernel], view=view)
      view = View((width,) + (1,) * (scale_ndim - 1), (width,))
      entries[f"params/{ours}/layer_scale/scale"] = Entry(scale, view=view)
      number += 1
  entries |= TORCH.layer_norm("norm", naming.norm)
  return entries | TORCH.dense("head", naming.head)


def _parts(at: str, *names: str) -> tuple[str, ...]:
  return tuple(f"{at}.{name}" for name in names)


def _timm_names(config: Config) -> Naming:
  stems = 2 if config.stem == "patch" else 3
  return Naming(
    _parts("stem", *(str(i) for i in range(stems))),
    lambda stage: (
      f"stages.{stage}.downsample.0",
      f"stages.{stage}.downsample.1",
    ),
    lambda stage, i: _parts(
      f"stages.{stage}.blocks.{i}",
      *("conv_dw", "norm", "mlp.fc1", "mlp.fc2", "gamma"),
    ),
    "head.norm",
    "head.fc",
  )


FACEBOOK_NAMES = Naming(
  _parts("downsample_layers.0", "0", "1"),
  lambda stage: (
    f"downsample_layers.{stage}.0",
    f"downsample_layers.{stage}.1",
  ),
  lambda stage, i: _parts(
    f"stages.{stage}.{i}", "dwconv", "norm", "pwconv1", "pwconv2", "gamma"
  ),
  "norm",
  "head",
)

TORCHVISION_NAMES = Naming(
  _parts("features.0", "0", "1"),
  lambda stage: _parts(f"features.{2 * stage}", "0", "1"),
  lambda stage, i: _parts(
    f"features.{2 * stage + 1}.{i}",
    *("block.0", "block.2", "block.3", "block.5", "layer_scale"),
  ),
  "classifier.0",
  "classifier.2",
)


def _hf_names(root: str) -> Naming:
  stages = f"{root}encoder.stages"

  return Naming(
    (f"{root}embeddings.patch_embeddings", f"{root}embeddings.layernorm"),
    lambda stage: _parts(f"{stages}.{stage}.downsampling_layer", "0", "1"),
    lambda stage, i: _parts(
      f"{stages}.{stage}.layers.{i}",
      *("dwconv", "layernorm", "pwconv1", "pwconv2", "layer_scale_parameter"),
    ),
    f"{root}layernorm",
    "classifier",
  )


_TIMM_UP = "stages.0.blocks.0.mlp.fc1.weight"
_HF_ANCHOR = "encoder.stages.0.layers.0.layer_scale_parameter"


def _hf_table(config: Config, shapes: Shapes) -> dict[str, Entry]:
  """A bare ConvNextModel is saved without the prefix of a task's."""
  return _table(_hf_names("" if _HF_ANCHOR in shapes else "convnext."), config)


def _as_hf(config: Any) -> Any:
  """The published ones say so in their config.json; a preset does not."""
  if config.head_norm_eps != config.norm_eps:
    return config
  return dataclasses.replace(config, head_norm_eps=1e-12)


def _images(config: Any) -> Preprocessing:
  """Facebook's: those finetuned on 384 pixels see the whole image."""
  crop = 0.875 if config.image_size < 384 else None
  if config.in_channels != 3:
    return centred(config.image_size, config.in_channels)
  return Preprocessing(config.image_size, resize="bicubic", crop_pct=crop)


def _timm_images(config: Any) -> Preprocessing | None:
  """timm's base and large exist with CLIP's mean and deviation as well."""
  return None if config.widths[0] >= 128 else _images(config)


def _torchvision_images(config: Any) -> Preprocessing:
  resized = {(96, 9): 236, (96, 27): 230}
  key = config.widths[0], config.stage_sizes[2]
  if config.in_channels != 3:
    return _images(config)
  return Preprocessing(224, crop_pct=224 / resized.get(key, 232))


def _timm_written(config: Any) -> Shapes:
  """timm's atto to nano have 1x1 convolutions, tiny and larger dense layers."""
  width = config.widths[0]
  return {_TIMM_UP: (4 * width, width, 1, 1)} if width < 96 else {}


TORCHVISION = Dialect(
  "torchvision",
  fits=lambda shapes: "features.1.0.layer_scale" in shapes,
  table=lambda config, shapes: _table(TORCHVISION_NAMES, config, scale_ndim=3),
  dropped=lambda config: (),
  head=r"classifier\.2\.(weight|bias)",
  preprocessing=_torchvision_images,
)

TIMM = Dialect(
  "timm",
  fits=lambda shapes: "stages.0.blocks.0.conv_dw.weight" in shapes,
  table=lambda config, shapes: _table(
    _timm_names(config), config, conv_mlp=len(shapes.get(_TIMM_UP, ())) == 4
  ),
  dropped=lambda config: (),
  head=r"head\.fc\.(weight|bias)",
  written=_timm_written,
  preprocessing=_timm_images,
)

HF = Dialect(
  "hf",
  fits=lambda shapes: any(name.endswith(_HF_ANCHOR) for name in shapes),
  table=_hf_table,
  dropped=lambda config: (),
  head=r"classifier\.(weight|bias)",
  adjust=_as_hf,
  preprocessing=_images,
)

FACEBOOK = Dialect(
  "facebook",
  fits=lambda shapes: "stages.0.0.dwconv.weight" in shapes,
  table=lambda config, shapes: _table(FACEBOOK_NAMES, config),
  dropped=lambda config: (),
  head=r"head\.(weight|bias)",
  preprocessing=_images,
)

DIALECTS = (TORCHVISION, TIMM, HF, FACEBOOK)
