"""EfficientNet: what five projects compute with the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import efficientnet as case
from golden import nets, packed

from jft.errors import UserError
from jft.models import efficientnet

TOLERANCE = 1e-4
"""Largest error in float32, relative to the largest value of an array."""


@pytest.mark.parametrize("name", ["timm", "lukemelas_lite", "hf", "keras"])
def test_inference_is_the_originals(name):
  want = nets.inference(packed.read("efficientnet")[name])
  got = nets.evaluated(case.CASES[name])
  assert nets.max_error({n: got[n] for n in want}, want) < TOLERANCE


@pytest.mark.slow
def test_gradients_and_statistics_are_timms():
  want = nets.training(packed.read("efficientnet")["timm"])
  assert nets.max_error(nets.trained(case.CASES["timm"]), want) < TOLERANCE


def test_outputs_without_a_head():
  module = efficientnet.module(efficientnet.PRESETS["efficientnet_b0"])
  shapes, variables = jax.eval_shape(
    module.init_with_output, jax.random.key(0), jnp.zeros((2, 64, 64, 3))
  )
  assert {name: x.shape for name, x in shapes.items()} == {
    "hidden": (2, 2, 2, 1280),
    "features": (2, 1280),
  }
  assert "head" not in variables["params"]


def test_bfloat16_keeps_float32_parameters_and_statistics():
  module = efficientnet.module(case.SMALL, 3, dtype=jnp.bfloat16)
  image = jnp.zeros((2, 32, 32, 3))
  shapes, variables = jax.eval_shape(
    module.init_with_output, jax.random.key(0), image
  )
  assert shapes["logits"].dtype == jnp.bfloat16
  kinds = {leaf.dtype for leaf in jax.tree.leaves(variables)}
  assert kinds == {np.dtype("float32")}


@pytest.mark.parametrize(
  ("wrong", "message"),
  [
    ({"stage_sizes": (1, 2)}, "stage_sizes"),
    ({"padding": "valid"}, "padding must be one of symmetric, same"),
    ({"width": 0}, "width"),
    ({"dropout": 1.0}, "dropout"),
    ({"lite": 1}, "lite"),
  ],
)
def test_a_config_that_cannot_be_is_refused(wrong, message):
  with pytest.raises(UserError, match=message):
    efficientnet.Config(**wrong)
