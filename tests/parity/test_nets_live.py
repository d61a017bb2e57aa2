"""ConvNeXt, EfficientNet and MobileNetV2 against their originals, now.

Those are timm, torchvision, transformers, Keras and two other packages.
"""

import importlib
import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import pytest

pytest.importorskip("torch")
live = pytest.importorskip("golden.live")

# {family: does it have running statistics?}
STATS = {"convnext": False, "efficientnet": True, "mobilenetv2": True}
CASES = {name: importlib.import_module(f"golden.{name}") for name in STATS}
MAKE = {name: pytest.importorskip(f"golden.make_{name}") for name in STATS}

pytestmark = [pytest.mark.parity, pytest.mark.slow]


def each(kind):
  """The pairs of a family and one of its ORIGINALS, REAL or LAYOUTS."""
  return [(f, name) for f in STATS for name in getattr(MAKE[f], kind)]


@pytest.mark.parametrize(("family", "name"), each("ORIGINALS"))
def test_another_seed(family, name):
  case, make = CASES[family].CASES[name], MAKE[family]
  live.assert_golden(family, name, make.record(name))
  error = live.assert_same(case, make.record(name, seed=1), seed=1)
  live.confirm(
    case,
    make.ORIGINALS[name].reference,
    config=f"{family}_{name}",
    stats=STATS[family],
    error=error,
  )


@pytest.mark.parametrize(("family", "preset"), each("REAL"))
def test_a_preset(family, preset):
  case, make = CASES[family].REAL[preset], MAKE[family]
  error = live.assert_same(
    case,
    make.record(preset),
    seed=0,
    rounded=make.REAL[preset].rounded(case.size),
  )
  live.confirm(
    case,
    make.REAL[preset].reference,
    preset=preset,
    stats=STATS[family],
    error=error,
  )


@pytest.mark.parametrize(("family", "layout"), each("LAYOUTS"))
def test_names_shapes_and_counts(family, layout):
  make = MAKE[family]
  live.confirm_facts(family, layout, make.facts(layout), make.reference_of)
