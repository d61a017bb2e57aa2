"""ConvNeXt: what four projects compute with the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import convnext as case
from golden import nets, packed

from jft.models import convnext

TOLERANCE = 1e-4
"""Largest error in float32, relative to the largest value of an array."""


@pytest.mark.parametrize("name", case.CASES)
def test_inference_is_the_originals(name):
  want = nets.inference(packed.read("convnext")[name])
  got = nets.evaluated(case.CASES[name])
  assert nets.max_error({n: got[n] for n in want}, want) < TOLERANCE


def test_gradients_are_timms():
  want = nets.training(packed.read("convnext")["timm"])
  assert nets.max_error(nets.trained(case.CASES["timm"]), want) < TOLERANCE


def test_outputs_without_a_head():
  module = convnext.module(convnext.PRESETS["convnext_atto"])
  shapes, variables = jax.eval_shape(
    module.init_with_output, jax.random.key(0), jnp.zeros((2, 64, 64, 3))
  )
  assert {name: x.shape for name, x in shapes.items()} == {
    "hidden": (2, 2, 2, 320),
    "features": (2, 320),
  }
  assert "head" not in variables["params"]


def test_bfloat16_keeps_float32_parameters():
  module = convnext.module(case.SMALL, 3, dtype=jnp.bfloat16)
  shapes, variables = jax.eval_shape(
    module.init_with_output, jax.random.key(0), jnp.zeros((2, 32, 32, 3))
  )
  assert shapes["logits"].dtype == jnp.bfloat16
  kinds = {leaf.dtype for leaf in jax.tree.leaves(variables)}
  assert kinds == {np.dtype("float32")}
