"""DenseNet's name tables: torchvision's, old and new, and Keras' names."""

import re

import pytest
from golden import densenet as case
from golden import vision
from variants import some

from jft.models import densenet
from jft.pretrained.names import densenet as names

# Of torchvision 0.28.0's and keras 3.15.1's names and shapes, by
# tests/golden/make_densenet.py.
DIGESTS = {
  ("densenet121", names.TORCHVISION): "222a58d1fd8d2818a1232c61bc9be0db",
  ("densenet161", names.TORCHVISION): "9d03c4eb4e4ceb814770d6ee184bf877",
  ("densenet169", names.TORCHVISION): "a9eb5c1c253d9342ba84638d9c98bfc0",
  ("densenet201", names.TORCHVISION): "aaf6c59d276cc4958625fe4592415d90",
  ("densenet121", names.KERAS): "6cdfbe96fb6f6a6921ca0ed8405b8cd6",
  ("densenet169", names.KERAS): "b6cb0b0c84d9a1d5316aa82867006eac",
  ("densenet201", names.KERAS): "11efdcfd02bb00f2d0ad3f3f71721ca6",
}


@pytest.mark.parametrize(
  ("arch", "dialect"),
  some(DIGESTS, *(key for key in DIGESTS if key[0] == "densenet121")),
)
def test_names_and_shapes_are_the_originals(arch, dialect):
  shapes = case.case(arch, dialect).source_shapes(1000)
  assert vision.digest(shapes) == DIGESTS[arch, dialect]


@pytest.mark.parametrize("dialect", names.DIALECTS)
def test_a_table_names_every_variable_once(dialect):
  found = case.case("densenet121", dialect)
  table = found.table
  assert table.keys() == found.target().keys()
  assert len({entry.source for entry in table.values()}) == len(table)
  assert dialect.fits(found.source_shapes())
  others = [other for other in names.DIALECTS if other != dialect]
  assert not any(other.fits(found.source_shapes()) for other in others)


def test_the_dots_in_torchvisions_files():
  config = densenet.PRESETS["densenet121"]
  shapes = {
    re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", name): shape
    for name, shape in case.case("densenet121").source_shapes().items()
  }
  assert "features.denseblock4.denselayer16.conv.2.weight" in shapes
  assert names.TORCHVISION.fits(shapes)
  table = names.table(config, shapes)
  assert {entry.source for entry in table.values()} == shapes.keys()


@pytest.mark.parametrize("folder", [True, False])
def test_the_names_of_keras_applications(folder):
  config = densenet.PRESETS["densenet121"]

  def old(name):
    layer, variable = name.split("/")
    layer = {
      "conv1_conv": "conv1/conv",
      "conv1_bn": "conv1/bn",
      "predictions": "fc1000",
    }.get(layer, layer)
    return f"{layer}/{layer}/{variable}" if folder else f"{layer}/{variable}"

  found = case.case("densenet121", names.KERAS)
  shapes = {old(n): shape for n, shape in found.source_shapes().items()}
  assert names.KERAS.fits(shapes)
  table = names.keras_table(config, shapes)
  assert {entry.source for entry in table.values()} == shapes.keys()
  stem = table["params/stem/norm/scale"].source
  assert stem.endswith("conv1/bn/gamma:0")
  assert "conv1" not in table["params/norm/scale"].source
