"""DenseNet: the originals' numbers and parameter counts."""

import jax
import jax.numpy as jnp
import pytest
from golden import densenet as case
from golden import vision
from variants import some

from jft import tree
from jft.errors import UserError
from jft.models import densenet

TOLERANCE = 1e-4


@pytest.mark.parametrize("arch", case.CASES)
def test_inference_is_the_originals(arch):
  want = vision.read(arch, train=False)
  vision.assert_close(case.case(arch).evaluated(), want, TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("arch", some(case.CASES, "densenet_small"))
def test_gradients_and_statistics_are_the_originals(arch):
  want = vision.read(arch, train=True)
  vision.assert_close(case.case(arch).trained(), want, TOLERANCE)


@pytest.mark.parametrize(
  ("arch", "parameters"),
  some(
    [
      ("densenet121", 7_978_856),
      ("densenet161", 28_681_000),
      ("densenet169", 14_149_480),
      ("densenet201", 20_013_928),
    ],
    ("densenet121", 7_978_856),
  ),
)
def test_presets_have_torchvisions_parameter_counts(arch, parameters):
  assert vision.parameters(case.case(arch).target(1000)) == parameters


def test_outputs_without_a_head():
  config = densenet.Config((1, 2), growth=8, width=16, dropout=0.2)
  module = densenet.module(config, remat=True)
  shapes, variables = jax.eval_shape(
    module.init_with_output, jax.random.key(0), jnp.zeros((2, 64, 96, 3))
  )
  assert {name: x.shape for name, x in shapes.items()} == {
    "hidden": (2, 8, 12, 28),
    "features": (2, 28),
  }
  assert sorted(tree.flatten(variables["params"]["block_01"])) == [
    "conv1/kernel",
    "conv2/kernel",
    "norm1/bias",
    "norm1/scale",
    "norm2/bias",
    "norm2/scale",
    "transition/conv/kernel",
    "transition/norm/bias",
    "transition/norm/scale",
  ]


@pytest.mark.parametrize(
  ("wrong", "message"),
  [
    ({"stage_sizes": (2, 0)}, r"stage_sizes .*\(2, 0\)"),
    ({"growth": 0}, "growth must be positive, got 0"),
    ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
    ({"norm_eps": 0.0}, "norm_eps"),
  ],
)
def test_a_config_that_cannot_be_is_refused(wrong, message):
  with pytest.raises(UserError, match=message):
    densenet.Config(**({"stage_sizes": (2, 2)} | wrong))


def test_images_of_another_shape_are_refused():
  module = densenet.module(densenet.PRESETS["densenet121"])
  with pytest.raises(UserError, match=r"DenseNet expects .*\[b h w 3\], got"):
    jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 32, 32, 1)))
