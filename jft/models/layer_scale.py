"""LayerScale: one factor a channel at the end of a residual branch."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jft.typing import Array, Float


class LayerScale(nn.Module):
  """One factor a channel, small at first.

  Source: Touvron et al., arXiv:2103.17239.
  """

  initial: float
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
    init = nn.initializers.constant(self.initial)
    scale = self.param("scale", init, (x.shape[-1],), self.param_dtype)
    return x * scale.astype(self.dtype)
