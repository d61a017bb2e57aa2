"""LayerScale: a factor a channel."""

import jax
import jax.numpy as jnp

from jft.models.layer_scale import LayerScale


def test_channels_are_scaled_by_their_own_factor():
  module = LayerScale(0.5)
  x = jnp.ones((2, 3))
  variables = module.init(jax.random.key(0), x)
  assert variables["params"]["scale"].tolist() == [0.5] * 3
  scale = {"params": {"scale": jnp.arange(3.0)}}
  assert module.apply(scale, x).tolist() == [[0.0, 1.0, 2.0]] * 2
