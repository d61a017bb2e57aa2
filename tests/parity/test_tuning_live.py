"""Rates by layer, statistics and gradient norms: their originals, run now."""

import re

import numpy as np
import pytest
import test_tuning_recalibrate
import test_tuning_surgical
from golden import tuning

from jft.tuning import lr_scales

pytest.importorskip("torch")
# Mends a torchvision without operators, which timm would trip over.
pytest.importorskip("golden.make_resnet")

pytestmark = pytest.mark.parity


def test_update_bn():
  for name, values in tuning.update_bn().items():
    want = test_tuning_recalibrate.UPDATE_BN[name]
    np.testing.assert_allclose(values, want, rtol=1e-6)


def test_ratios():
  want = pytest.approx(test_tuning_surgical.RATIOS, rel=1e-6)
  assert tuning.ratios() == want


def by_part(scales, names):
  """{part of jft's: the one share its leaves have}."""
  found = {}
  for name, share in scales.items():
    part = next(to for pattern, to in names if re.match(pattern, name))
    index = re.match(r"\D*(\d+)(?:\.(?:blocks\.)?(\d+))?", name)
    found.setdefault(part(index) if callable(part) else part, set()).add(share)
  assert all(len(shares) == 1 for shares in found.values())
  return {part: shares.pop() for part, shares in found.items()}


def mine(parts, decay, rules=((".*", 1.0),)):
  leaves = [f"{part}/kernel" for part in parts]
  return {
    name.split("/")[0]: share
    for name, share in lr_scales.times(
      lr_scales.layer_decay(leaves, decay), lr_scales.by_rules(leaves, rules)
    ).items()
  }


def numbered(index):
  return f"block_{int(index[1]):02d}"


def test_vit_of_timm():
  from timm.models.vision_transformer import VisionTransformer

  model = VisionTransformer(
    img_size=8, patch_size=4, embed_dim=8, depth=3, num_heads=2, num_classes=3
  )
  scales = tuning.timm_layer_decay(model, 0.6)
  got = by_part(
    scales,
    [
      ("cls_token|pos_embed|patch_embed", "embeddings"),
      (r"blocks\.", numbered),
      ("norm", "norm"),
      ("head", "head"),
    ],
  )
  # timm alone counts the final norm to the last block (BEiT and MAE do not).
  assert got == pytest.approx(mine(got, 0.6, [("norm/.*", 0.6), (".*", 1.0)]))


def test_resnet_of_timm():
  from timm.models.resnet import BasicBlock, ResNet

  sizes = (2, 1, 2, 1)
  starts = np.cumsum([0, *sizes])
  model = ResNet(BasicBlock, sizes, channels=(4, 4, 4, 4), num_classes=3)
  got = by_part(
    tuning.timm_layer_decay(model, 0.6),
    [
      ("conv1|bn1", "stem"),
      (
        "layer",
        lambda i: f"block_{starts[int(i[1]) - 1] + int(i[2]):02d}",
      ),
      ("fc", "head"),
    ],
  )
  assert len(got) == 8
  assert got == pytest.approx(mine(got, 0.6))


def test_convnext_of_timm():
  from timm.models.convnext import ConvNeXt

  sizes = (1, 2, 1, 1)
  starts = np.cumsum([0, *sizes])
  model = ConvNeXt(depths=sizes, dims=(4, 4, 4, 4), num_classes=3)

  def block(index):
    return f"block_{starts[int(index[1])] + int(index[2] or 0):02d}"

  got = by_part(
    tuning.timm_layer_decay(model, 0.6),
    [
      ("stem", "stem"),
      (r"stages\.", block),
      (r"head\.norm", "norm"),
      ("head", "head"),
    ],
  )
  assert len(got) == 8
  assert got == pytest.approx(mine(got, 0.6))
