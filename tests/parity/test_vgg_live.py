"""VGG and DenseNet against torchvision, timm and Keras, computed now."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import jax
import numpy as np
import pytest
from golden import densenet, verified, vgg, vision
from variants import some

pytest.importorskip("torch")
make_vgg = pytest.importorskip("golden.make_vgg")
make_densenet = pytest.importorskip("golden.make_densenet")

pytestmark = pytest.mark.parity

TOLERANCE = 1e-4
EXACT = 1e-9
KERAS = 1e-4
"""Keras computes some of its norms in float32."""
FAMILIES = {"vgg": (vgg, make_vgg), "densenet": (densenet, make_densenet)}
CASES = [
  ("vgg", "vgg_small"),
  ("vgg", "vgg_bn_small"),
  ("vgg", "keras_vgg"),
  ("vgg", "timm_vgg"),
  ("densenet", "densenet_small"),
  ("densenet", "densenet121"),
  ("densenet", "keras_densenet"),
]


def confirmed(family, arch, reference, **row):
  """Looks a comparison up, or records it."""
  make = FAMILIES[family][1]
  row = verified.row(
    **{"preset" if arch in make.PRESETS else "config": arch},
    reference=reference,
    version=make.version_of(reference),
    **row,
  )
  verified.confirm(family, [row])


@pytest.mark.parametrize(
  ("family", "arch"),
  some(CASES, *(c for c in CASES if c[1] not in ("densenet121", "timm_vgg"))),
)
def test_another_seed(family, arch):
  case, make = FAMILIES[family]
  found = case.case(arch)
  want = make.record(arch, seed=1)
  inference = {n: x for n, x in want.items() if "/" not in n}
  training = {n: x for n, x in want.items() if "/" in n}
  error = verified.max_error(found.evaluated(seed=1), inference)
  assert error <= TOLERANCE
  with jax.enable_x64(True):
    exact = found.trained(seed=1, dtype=np.float64)
  keras = found.dialect.name == "keras"
  vision.assert_close(exact, training, KERAS if keras else EXACT)
  confirmed(
    family,
    arch,
    found.dialect.name,
    layout=found.dialect.name,
    params=vision.parameters(found.target()),
    max_error=error,
    what="logits, features, blocks; gradients and statistics in float64",
  )


@pytest.mark.parametrize(
  ("family", "arch"),
  [
    (family, arch)
    for family in FAMILIES
    for arch in FAMILIES[family][1].PRESETS
  ],
)
def test_names_and_shapes(family, arch):
  case, make = FAMILIES[family]
  found = case.case(arch)
  digest, parameters = make.facts(arch)
  assert digest == vision.digest(found.source_shapes(1000))
  assert parameters == vision.parameters(found.target(1000))
  confirmed(
    family,
    arch,
    "torchvision",
    layout="torchvision",
    params=parameters,
    what="names and shapes",
  )
