"""Inverted residual blocks: rounding, and stochastic depth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import nets

from jft.models import inverted_residual


@pytest.mark.parametrize(
  ("channels", "want"), [(32 * 1.1, 32), (24 * 1.4, 32), (10, 16), (5.6, 8)]
)
def test_channels_are_multiples_of_8_and_never_far_below(channels, want):
  assert inverted_residual.rounded(channels) == want


@pytest.mark.parametrize("train", [True, False])
def test_stochastic_depth_skips_the_block_for_single_images(train):
  layers = inverted_residual.Layers(
    *("silu", "symmetric", 1e-5, 0.9, train, None),
    {"dtype": jnp.float32, "param_dtype": jnp.float32},
  )
  plan = inverted_residual.Plan(8, 3, 1, 2, squeeze=2, drop_path=0.5)
  block = inverted_residual.InvertedResidual(plan, layers)
  x = np.random.default_rng(0).standard_normal((64, 4, 4, 8), np.float32)

  def run(key):
    variables = block.init(jax.random.key(0), x)
    rngs = {"dropout": key}
    return block.apply(variables, x, mutable=["batch_stats"], rngs=rngs)[0]

  y = jax.jit(run, compiler_options=nets.OPTIONS)(jax.random.key(1))
  skipped = np.all(np.asarray(y) == x, axis=(1, 2, 3))
  assert 16 < skipped.sum() < 48 if train else not skipped.any()
