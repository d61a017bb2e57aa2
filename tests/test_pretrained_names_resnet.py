"""ResNet's name table: torchvision's state dict, whole and nothing else."""

import pytest
from golden import resnet as case
from golden import vision
from variants import some

from jft.errors import UserError
from jft.models import resnet
from jft.pretrained.names import resnet as names

# Of torchvision 0.28.0's and timm 1.0.31's names and shapes, by
# tests/golden/make_resnet.py.
DIGESTS = {
  "resnet18": "2bb53b15765c4651c9f371fb47d78ca6",
  "resnet34": "b945021fb00b779b6e5e1810908ed0ef",
  "resnet50": "cf11dad974eadeaaacacc7af8f712d7e",
  "resnet101": "d916ed2068e1af5d7277ff4803fe46da",
  "resnet152": "2fe195791c8ffb5f3ae9393dbeebb0c9",
  "wide_resnet50_2": "5b22ca8fa50e04237adea7e1c2af0415",
  "wide_resnet101_2": "c1f0689a35d4d3f6fd0f1c5097be143b",
  "resnext50_32x4d": "f6c1ee50d987843998b7b58294f29782",
  "resnext101_32x8d": "682c26d7ce488af86c106e530f2c5f9d",
  "resnext101_64x4d": "ed1563233073e615b7982dcc732fc6c0",
  "resnet18d": "954075a62860084b1e9050cbf43720fe",
  "resnet26d": "3b4afa9d2c9e540642f830e31f2d4c2f",
  "resnet34d": "468c88169f7a00cb0efed0501b56b773",
  "resnet50d": "8efed580d5c377376e60a47f648d66fc",
  "resnet101d": "561c5e7f5310dbdd3d51502f35c3489e",
  "resnet152d": "5ee846b5cf590047d58c08009ea0c92d",
}


@pytest.mark.parametrize(
  "arch", some(DIGESTS, "resnet18", "resnet50", "resnet50d", "resnext50_32x4d")
)
def test_names_and_shapes_are_torchvisions(arch):
  shapes = case.source_shapes(arch, 1000)
  assert vision.digest(shapes) == DIGESTS[arch]


@pytest.mark.parametrize("arch", case.CONFIGS)
def test_the_table_names_every_variable_once(arch):
  table = names.table(case.CONFIGS[arch])
  assert table.keys() == case.target(arch, 1000).keys()
  assert len({entry.source for entry in table.values()}) == len(table)


@pytest.mark.parametrize("arch", case.CONFIGS)
def test_detect_finds_the_config(arch):
  found = names.detect(case.source_shapes(arch, 1000))
  assert found is not None
  assert found.pop("num_classes") == 1000
  assert resnet.Config(**found) == case.CONFIGS[arch]


def test_detect_without_a_head():
  found = names.detect(case.source_shapes("resnet18", None))
  assert found is not None
  assert found["num_classes"] is None


@pytest.mark.parametrize(
  ("name", "shape"),
  [
    ("layer1.0.conv1.weight", (128, 64, 1, 1)),
    ("layer1.0.conv2.weight", (128, 4, 3, 3)),
    ("conv1.weight", (64, 3, 5, 5)),
    ("layer9.0.conv1.weight", (64, 64, 1, 1)),
  ],
)
def test_detect_leaves_other_networks_alone(name, shape):
  assert names.detect(case.source_shapes("resnet50") | {name: shape}) is None
  assert names.detect({"vit.embeddings.cls_token": (1, 1, 768)}) is None


def test_a_file_of_another_resnet_is_named():
  shapes = case.source_shapes("resnet50", 1000)
  names.check(resnet.PRESETS["resnet50"], shapes)
  with pytest.raises(
    UserError, match=r"stage_sizes=\(3, 4, 6, 3\), block='bottleneck', expected"
  ):
    names.check(resnet.PRESETS["resnet18"], shapes)
  with pytest.raises(UserError, match=r"groups=1, group_width=64, expected"):
    names.check(resnet.PRESETS["resnext50_32x4d"], shapes)


def test_a_file_of_another_family_is_named():
  with pytest.raises(UserError, match=r"begin with vit\.embeddings"):
    names.check(
      resnet.PRESETS["resnet18"], {"vit.embeddings.cls_token": (1, 1, 768)}
    )
