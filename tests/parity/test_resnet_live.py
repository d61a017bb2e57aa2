"""ResNet against torchvision, timm, transformers and Keras, computed now.

In float64 both agree to twelve digits, so the code is the same function; in
float32 the error is that of rounding. A deep network's train mode on two small
images has BatchNorm over eight values a channel: it magnifies rounding, in
torch as here, and is compared in float64 alone.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import jax
import numpy as np
import pytest
from golden import resnet as case
from golden import verified, vision
from test_pretrained_names_resnet import DIGESTS
from variants import some

pytest.importorskip("torch")
# Declares torchvision's missing operators before it imports torchvision.
make_resnet = pytest.importorskip("golden.make_resnet")

pytestmark = pytest.mark.parity

TOLERANCE = 1e-4
EXACT = 1e-9
KERAS = 1e-4
"""Keras computes some of its norms in float32."""


@pytest.mark.parametrize("arch", make_resnet.GOLDENS)
def test_the_goldens_are_the_originals(arch):
  got = make_resnet.record(arch)
  want = case.read(arch, train=False) | case.read(arch, train=True)
  case.assert_close(got, want, 1e-7)


# Those of published size take a minute each, those with groups half of one.
QUICK = [
  *("resnet_shallow", "deep_basic", "hf_basic", "hf_bottleneck", "hf_strided"),
  "keras_resnet",
]


@pytest.mark.parametrize("arch", some(make_resnet.GOLDENS, *QUICK))
def test_another_seed(arch):
  want = make_resnet.record(arch, seed=1)
  inference = {n: x for n, x in want.items() if "/" not in n}
  training = {n: x for n, x in want.items() if "/" in n}
  error = verified.max_error(case.evaluated(arch, seed=1), inference)
  assert error <= TOLERANCE
  with jax.enable_x64(True):
    exact = case.trained(arch, seed=1, dtype=np.float64)
  case.assert_close(exact, training, KERAS if "keras" in arch else EXACT)
  kind = "preset" if arch in make_resnet.PRESETS else "config"
  verified.confirm(
    "resnet",
    [
      verified.row(
        **{kind: arch},
        layout=case.case(arch).dialect.name,
        reference=make_resnet.reference_of(arch),
        version=make_resnet.version_of(make_resnet.reference_of(arch)),
        params=vision.parameters(case.target(arch)),
        max_error=error,
        what="logits, features, blocks; gradients and statistics in float64",
      )
    ],
  )


@pytest.mark.parametrize("arch", DIGESTS)
def test_names_and_shapes(arch):
  digest, parameters = make_resnet.facts(arch)
  assert digest == DIGESTS[arch]
  verified.confirm(
    "resnet",
    [
      verified.row(
        preset=arch,
        layout="torchvision",
        reference=make_resnet.reference_of(arch),
        version=make_resnet.version_of(make_resnet.reference_of(arch)),
        params=parameters,
        what="names and shapes",
      )
    ],
  )
