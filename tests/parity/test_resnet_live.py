"""ResNet against torchvision, computed now.

In float64 both agree to twelve digits, so the code is the same function; in
float32 the error is that of rounding. A deep network's train mode on two small
images has BatchNorm over eight values a channel: it magnifies rounding, in
torch as here, and is compared in float64 alone.
"""

import jax
import numpy as np
import pytest
from golden import resnet as case
from test_pretrained_names_resnet import DIGESTS

pytest.importorskip("torch")
# Declares torchvision's missing operators before it imports torchvision.
make_resnet = pytest.importorskip("golden.make_resnet")

pytestmark = pytest.mark.parity

TOLERANCE = 1e-4
EXACT = 1e-9
ARCHS = ["resnet18", "resnet50", "resnet14_small", "resnet_shallow"]


@pytest.mark.parametrize("arch", ARCHS)
def test_the_goldens_are_torchvisions(arch):
  got = make_resnet.record(arch)
  want = case.read(arch, train=False) | case.read(arch, train=True)
  case.assert_close(got, want, 1e-7)


@pytest.mark.parametrize("arch", [*ARCHS, "resnet152"])
def test_another_seed(arch):
  want = make_resnet.record(arch, seed=1)
  inference = {n: x for n, x in want.items() if "/" not in n}
  training = {n: x for n, x in want.items() if "/" in n}
  case.assert_close(case.evaluated(arch, seed=1), inference, TOLERANCE)
  with jax.enable_x64(True):
    exact = case.trained(arch, seed=1, dtype=np.float64)
  case.assert_close(exact, training, EXACT)


@pytest.mark.parametrize("arch", DIGESTS)
def test_names_and_shapes(arch):
  assert make_resnet.digest(arch) == DIGESTS[arch]
