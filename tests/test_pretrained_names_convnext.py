"""ConvNeXt's names: four projects' files, whole and nothing else."""

import dataclasses

import pytest
from golden import convnext as case
from golden import nets, packed
from variants import some

from jft import families, tree

PRESETS = packed.presets("convnext")


@pytest.mark.parametrize(
  "layout", some(PRESETS, *(name for name in PRESETS if name != "timm"))
)
def test_presets_have_the_originals_names_shapes_and_counts(layout):
  for preset, (parameters, digest) in PRESETS[layout].items():
    config = families.preset(preset)[1]
    model = nets.Case("convnext", layout, config)
    written = model.dialect.written(config)
    model = dataclasses.replace(model, hint=tuple(written.items()))
    variables = tree.unflatten(nets.target(model, 1000))
    assert tree.count(variables["params"]) == parameters
    assert packed.digest(nets.source_shapes(model, 1000)) == digest


@pytest.mark.parametrize("name", case.CASES)
def test_one_dialect_fits_a_file(name):
  model = case.CASES[name]
  shapes = nets.source_shapes(model)
  fitting = [d.name for d in families.CONVNEXT.dialects if d.fits(shapes)]
  assert fitting == [model.layout]


@pytest.mark.parametrize("name", case.CASES)
def test_the_table_names_every_variable_once(name):
  model = case.CASES[name]
  assert model.table.keys() == nets.target(model).keys()
  assert len({e.source for e in model.table.values()}) == len(model.table)


@pytest.mark.parametrize(
  ("layout", "preset", "want"),
  [
    ("torchvision", "convnext_tiny", (224, 224 / 236)),
    ("torchvision", "convnext_large", (224, 224 / 232)),
    ("facebook", "convnext_base", (224, 0.875)),
    ("timm", "convnext_atto", (224, 0.875)),
    ("timm", "convnext_base", None),  # with CLIP's mean as well
  ],
)
def test_images_are_prepared_as_published(layout, preset, want):
  model = nets.Case("convnext", layout, families.preset(preset)[1])
  found = model.dialect.preprocessing(model.adjusted)
  assert (found and (found.image_size, found.crop_pct)) == want
