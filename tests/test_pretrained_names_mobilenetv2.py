"""MobileNetV2's names: four projects' files, whole and nothing else."""

import pytest
from golden import mobilenetv2 as case
from golden import nets, packed
from variants import some

from jft import families, tree

PRESETS = packed.presets("mobilenetv2")


@pytest.mark.parametrize(
  "layout", some(PRESETS, *(name for name in PRESETS if name != "timm"))
)
def test_presets_have_the_originals_names_shapes_and_counts(layout):
  for preset, (parameters, digest) in PRESETS[layout].items():
    model = nets.Case("mobilenetv2", layout, families.preset(preset)[1])
    variables = tree.unflatten(nets.target(model, 1000))
    assert tree.count(variables["params"]) == parameters
    assert packed.digest(nets.source_shapes(model, 1000)) == digest


@pytest.mark.parametrize("name", case.CASES)
def test_one_dialect_fits_a_file(name):
  model = case.CASES[name]
  shapes = nets.source_shapes(model)
  fitting = [d.name for d in families.MOBILENETV2.dialects if d.fits(shapes)]
  assert fitting == [model.layout]


@pytest.mark.parametrize("name", case.CASES)
def test_the_table_names_every_variable_once(name):
  model = case.CASES[name]
  assert model.table.keys() == nets.target(model).keys()
  assert len({e.source for e in model.table.values()}) == len(model.table)
