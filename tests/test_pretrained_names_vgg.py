"""VGG's name tables: torchvision's, timm's and Keras' names, whole."""

import numpy as np
import pytest
from golden import vgg as case
from golden import vision

from jft.models import vgg
from jft.pretrained import layouts
from jft.pretrained.names import vgg as names

# Of torchvision 0.28.0's and timm 1.0.31's names and shapes, by
# tests/golden/make_vgg.py.
DIGESTS = {
  "vgg11": (
    "b11acd4f90d9643fb47e4326d0f40d1a",
    "9d751f373c3ee1f4fb8c6d8717288b73",
  ),
  "vgg11_bn": (
    "eb52f2d89ad478d4d436ccaa4d84daf6",
    "7742e998dca092c732229341d139be68",
  ),
  "vgg13": (
    "79ca8fd7a1480aa7c17b8cdc8d302bc3",
    "cf2c1b775d2cabbf021281e4239b6fc0",
  ),
  "vgg13_bn": (
    "e71996a6a29bacd79278c32a93f10815",
    "a46987326f7a5f04809f7bd31a3f30a9",
  ),
  "vgg16": (
    "ba63c2556d912509cba94697742dd762",
    "64c32d2c3487778cf6f0b849bbe1730e",
  ),
  "vgg16_bn": (
    "d8308b804a50efac3fab3ae9ebd8f1ab",
    "0f2224040ddfa5a16f9f2823c3621255",
  ),
  "vgg19": (
    "393fac8b08b63fbee1e3ef721e98f171",
    "10e2a6afcc19ac22bc49c219f01d4653",
  ),
  "vgg19_bn": (
    "8f342fea647d72dfdaa60a59da3b108e",
    "b8862624d5684959abeb76a651953398",
  ),
}


@pytest.mark.parametrize("arch", DIGESTS)
def test_names_and_shapes_are_torchvisions_and_timms(arch):
  found = tuple(
    vision.digest(case.case(arch, dialect).source_shapes(1000))
    for dialect in (names.TORCHVISION, names.TIMM)
  )
  assert found == DIGESTS[arch]


@pytest.mark.parametrize("dialect", names.DIALECTS)
def test_a_table_names_every_variable_once(dialect):
  found = case.case("vgg16", dialect)
  table = found.table
  assert table.keys() == found.target().keys()
  assert len({entry.source for entry in table.values()}) == len(table)
  assert dialect.fits(found.source_shapes())
  others = [other for other in names.DIALECTS if other != dialect]
  assert not any(other.fits(found.source_shapes()) for other in others)


def test_keras_shapes():
  shapes = case.case("vgg16", names.KERAS).source_shapes(1000)
  assert shapes["block1_conv1/kernel:0"] == (3, 3, 3, 64)
  assert shapes["fc1/kernel:0"] == (25088, 4096)
  assert shapes["predictions/bias:0"] == (1000,)
  assert len(shapes) == 32


def test_names_without_a_number():
  config = vgg.PRESETS["vgg16"]
  source = {
    entry.source.removesuffix(":0"): ()
    for entry in names.keras_table(config, {}).values()
  }
  table = names.keras_table(config, source)
  assert {entry.source for entry in table.values()} == source.keys()
  assert table["params/fc1/bias"].source == "fc1/bias"


def test_the_first_dense_layer_is_in_order():
  """One hot at channel 5, row 2, column 3 in the order of either project."""
  config = vgg.Config((1,), width=8, hidden=4)
  for table, shape, place in (
    (names.table, (4, 8 * 49), (1, 5 * 49 + 2 * 7 + 3)),
    (names.keras_table, (8 * 49, 4), (2 * 7 * 8 + 3 * 8 + 5, 1)),
  ):
    source = np.zeros(shape, np.float32)
    source[place] = 1
    entry = table(config, {})["params/fc1/kernel"]
    kernel = layouts.to_jft(entry, source)
    assert np.argwhere(kernel).tolist() == [[2, 3, 5, 1]]
    assert (layouts.to_source(entry, kernel) == source).all()
