"""ConvNeXt against timm, torchvision and transformers, computed now."""

import pytest
from golden import convnext as case

pytest.importorskip("torch")
live = pytest.importorskip("golden.live")
make = pytest.importorskip("golden.make_convnext")

pytestmark = [pytest.mark.parity, pytest.mark.slow]


@pytest.mark.parametrize("name", make.ORIGINALS)
def test_another_seed(name):
  live.assert_golden("convnext", name, make.record(name))
  error = live.assert_same(case.CASES[name], make.record(name, seed=1), seed=1)
  live.confirm(
    case.CASES[name],
    make.ORIGINALS[name].reference,
    config=f"convnext_{name}",
    stats=False,
    error=error,
  )


@pytest.mark.parametrize("preset", make.REAL)
def test_a_preset(preset):
  error = live.assert_same(
    case.REAL[preset],
    make.record(preset),
    seed=0,
    rounded=make.REAL[preset].rounded(case.REAL[preset].size),
  )
  live.confirm(
    case.REAL[preset],
    make.REAL[preset].reference,
    preset=preset,
    stats=False,
    error=error,
  )


@pytest.mark.parametrize("layout", make.LAYOUTS)
def test_names_shapes_and_counts(layout):
  found = make.facts(layout)
  live.confirm_facts("convnext", layout, found, make.reference_of)
