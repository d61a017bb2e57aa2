"""Makes convnext.npz: what four projects' ConvNeXts compute.

  cd tests && python -m golden.make_convnext

needs torch, torchvision, timm and transformers. Everything runs in float64.
Facebook's own code is in no package: its files are timm's under the names that
timm's own conversion of them reads.
"""

import functools
import re

# First: it declares torchvision's missing operators, and timm imports it.
from golden.make_resnet import torchvision  # isort: skip

import timm
import torch
import transformers
from golden import packed, torch_nets, weights
from golden.torch_nets import Original
from timm.models import convnext as timm_net

BLOCKS, WIDTHS, SIZE = (1, 1, 2, 1), (16, 32, 48, 64), 72
SIZES = {"convnext_tiny": 36}
"""Pixels of those that would take minutes."""
LARGE = [f"convnext_{size}" for size in ("tiny", "small", "base", "large")]
TINY = ("atto", "femto", "pico", "nano")
SMALL = [f"convnext_{s}{ols}" for s in TINY for ols in ("", "_ols")]
VERSIONS = (
  f"torch {torch.__version__}, torchvision {torchvision.__version__},"
  f" timm {timm.__version__}, transformers {transformers.__version__}"
)


def from_timm(**options):
  return timm_net.ConvNeXt(
    depths=BLOCKS, dims=WIDTHS, num_classes=weights.CLASSES, **options
  )


def from_torchvision():
  net = torchvision.models.convnext
  settings = [
    net.CNBlockConfig(width, after, blocks)
    for width, after, blocks in zip(
      WIDTHS, (*WIDTHS[1:], None), BLOCKS, strict=True
    )
  ]
  return net.ConvNeXt(settings, num_classes=weights.CLASSES)


def from_hf(widths=WIDTHS, sizes=BLOCKS, classes=weights.CLASSES):
  config = transformers.ConvNextConfig(
    hidden_sizes=list(widths), depths=list(sizes), num_labels=classes
  )
  return transformers.ConvNextForImageClassification(config)


def facebook_name(name):
  """Returns Facebook's name of a tensor of timm's."""
  name = re.sub(r"^stem\.", "downsample_layers.0.", name)
  name = re.sub(r"^stages\.(\d)\.downsample", r"downsample_layers.\1", name)
  name = name.replace(".blocks.", ".").replace("conv_dw", "dwconv")
  name = name.replace("mlp.fc", "pwconv").replace("head.norm.", "norm.")
  return name.replace("head.fc.", "head.")


class Facebook(torch.nn.Module):
  """timm's network whose state dict has Facebook's names."""

  def __init__(self, net):
    super().__init__()
    self.net = net

  def state_dict(self, **options):
    state = self.net.state_dict(**options)
    state = {facebook_name(n): x for n, x in state.items()}
    back = timm_net.checkpoint_filter_fn(dict(state), self.net)
    assert back.keys() == self.net.state_dict().keys()
    return state

  def load_state_dict(self, state, strict):
    return self.net.load_state_dict(
      timm_net.checkpoint_filter_fn(state, self.net), strict=strict
    )

  def forward(self, image):
    return self.net(image)


def _timm_blocks(model):
  return [block for stage in model.stages for block in stage.blocks]


def _torchvision_blocks(model):
  return [block for stage in model.features[1::2] for block in stage]


def _hf_blocks(model):
  stages = model.convnext.encoder.stages
  return [block for stage in stages for block in stage.layers]


ORIGINALS = {
  "timm": Original("timm", from_timm, _timm_blocks),
  "timm_overlap": Original(
    "timm",
    functools.partial(from_timm, stem_type="overlap_tiered", conv_mlp=True),
    _timm_blocks,
  ),
  "torchvision": Original("torchvision", from_torchvision, _torchvision_blocks),
  "hf": Original("transformers", from_hf, _hf_blocks),
  "facebook": Original(
    "timm",
    lambda: Facebook(from_timm()),
    lambda model: _timm_blocks(model.net),
  ),
}
REAL = {
  "convnext_atto_ols": Original(
    "timm",
    functools.partial(
      timm.create_model, "convnext_atto_ols", num_classes=weights.CLASSES
    ),
    _timm_blocks,
  ),
  "convnext_tiny": Original(
    "torchvision",
    lambda: torchvision.models.convnext_tiny(
      num_classes=weights.CLASSES, stochastic_depth_prob=0.0
    ),
    _torchvision_blocks,
  ),
}


def record(name, seed=0, *, train=True):
  """Returns what is compared of one case."""
  size = SIZES.get(name, SIZE)
  return (ORIGINALS | REAL)[name].record(size, seed, train=train)


def reference_of(layout, preset):
  """Returns whose code makes a preset."""
  del preset
  return {"hf": "transformers", "facebook": "timm"}.get(layout, layout)


def hf_preset(name):
  model = timm.create_model(name)
  sizes = [len(stage.blocks) for stage in model.stages]
  widths = [stage.blocks[0].conv_dw.in_channels for stage in model.stages]
  return from_hf(widths, sizes, 1000)


def facts(layout):
  """Returns {preset: [parameters, digest of names and shapes]}."""
  make, presets = {
    "timm": (timm.create_model, LARGE + SMALL),
    "torchvision": (lambda name: getattr(torchvision.models, name)(), LARGE),
    "hf": (hf_preset, LARGE),
    "facebook": (lambda name: Facebook(timm.create_model(name)), LARGE),
  }[layout]
  return torch_nets.facts(make, presets)


LAYOUTS = ("timm", "torchvision", "hf", "facebook")


def main():
  packed.write(
    "convnext",
    {name: record(name, train=name == "timm") for name in ORIGINALS},
    {layout: facts(layout) for layout in LAYOUTS},
    VERSIONS,
  )


if __name__ == "__main__":
  main()
