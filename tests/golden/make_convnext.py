"""Makes convnext.npz: what four projects' ConvNeXts compute.

  cd tests && python -m golden.make_convnext

needs torch, torchvision, timm and transformers. Everything runs in float64.
Facebook's own code is in no package: its files are timm's under the names that
timm's own conversion of them reads.
"""

import re

# First: it declares torchvision's missing operators, and timm imports it.
from golden.make_resnet import torchvision  # isort: skip

import timm
import torch
import transformers
from golden import packed, torch_nets, weights
from timm.models import convnext as timm_net

SIZES, WIDTHS, SIZE = (1, 1, 2, 1), (16, 32, 48, 64), 72
LARGE = [f"convnext_{size}" for size in ("tiny", "small", "base", "large")]
TINY = ("atto", "femto", "pico", "nano")
SMALL = [f"convnext_{s}{ols}" for s in TINY for ols in ("", "_ols")]
VERSIONS = (
  f"torch {torch.__version__}, torchvision {torchvision.__version__},"
  f" timm {timm.__version__}, transformers {transformers.__version__}"
)


def from_timm(**options):
  return timm_net.ConvNeXt(
    depths=SIZES, dims=WIDTHS, num_classes=weights.CLASSES, **options
  )


def from_torchvision():
  net = torchvision.models.convnext
  settings = [
    net.CNBlockConfig(width, after, blocks)
    for width, after, blocks in zip(
      WIDTHS, (*WIDTHS[1:], None), SIZES, strict=True
    )
  ]
  return net.ConvNeXt(settings, num_classes=weights.CLASSES)


def from_hf(widths=WIDTHS, sizes=SIZES, classes=weights.CLASSES):
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

  def state_dict(self):
    state = {facebook_name(n): x for n, x in self.net.state_dict().items()}
    back = timm_net.checkpoint_filter_fn(dict(state), self.net)
    assert back.keys() == self.net.state_dict().keys()
    return state

  def load_state_dict(self, state, strict):
    return self.net.load_state_dict(
      timm_net.checkpoint_filter_fn(state, self.net), strict=strict
    )

  def forward(self, image):
    return self.net(image)


def records():
  """Returns {case: what is compared}."""
  image = torch_nets.images(SIZE)

  def run(model, blocks, logits=lambda out: out):
    model = torch_nets.filled(model)
    return torch_nets.evaluated(model, image, blocks(model), logits)

  def in_stages(model):
    return [block for stage in model.stages for block in stage.blocks]

  net = torch_nets.filled(from_timm())
  return {
    "timm": torch_nets.evaluated(net, image, in_stages(net))
    | torch_nets.trained(net, image),
    "timm_overlap": run(
      from_timm(stem_type="overlap_tiered", conv_mlp=True), in_stages
    ),
    "torchvision": run(
      from_torchvision(), lambda m: [b for s in m.features[1::2] for b in s]
    ),
    "hf": run(
      from_hf(),
      lambda m: [b for s in m.convnext.encoder.stages for b in s.layers],
      lambda out: out.logits,
    ),
    "facebook": run(Facebook(from_timm()), lambda m: in_stages(m.net)),
  }


def hf_preset(name):
  model = timm.create_model(name)
  sizes = [len(stage.blocks) for stage in model.stages]
  widths = [stage.blocks[0].conv_dw.in_channels for stage in model.stages]
  return from_hf(widths, sizes, 1000)


def main():
  presets = {
    "timm": torch_nets.facts(timm.create_model, LARGE + SMALL),
    "torchvision": torch_nets.facts(
      lambda name: getattr(torchvision.models, name)(), LARGE
    ),
    "hf": torch_nets.facts(hf_preset, LARGE),
    "facebook": torch_nets.facts(
      lambda name: Facebook(timm.create_model(name)), LARGE
    ),
  }
  packed.write("convnext", records(), presets, VERSIONS)


if __name__ == "__main__":
  main()
