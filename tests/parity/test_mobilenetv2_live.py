"""MobileNetV2 against timm, torchvision, transformers, Keras, computed now."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import pytest
from golden import mobilenetv2 as case

pytest.importorskip("torch")
live = pytest.importorskip("golden.live")
make = pytest.importorskip("golden.make_mobilenetv2")

pytestmark = [pytest.mark.parity, pytest.mark.slow]


@pytest.mark.parametrize("name", make.ORIGINALS)
def test_another_seed(name):
  live.assert_golden("mobilenetv2", name, make.record(name))
  error = live.assert_same(case.CASES[name], make.record(name, seed=1), seed=1)
  live.confirm(
    case.CASES[name],
    make.ORIGINALS[name].reference,
    config=f"mobilenetv2_{name}",
    stats=True,
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
    stats=True,
    error=error,
  )


@pytest.mark.parametrize("layout", make.LAYOUTS)
def test_names_shapes_and_counts(layout):
  found = make.facts(layout)
  live.confirm_facts("mobilenetv2", layout, found, make.reference_of)
