"""The layers of a vision transformer's block, and what makes them."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jft.models.activations import ACTIVATIONS
from jft.models.attention import Sees, attend
from jft.models.head import Head, make_head
from jft.models.layer_scale import LayerScale
from jft.models.vit_config import Config
from jft.typing import Array, Float

_init = nn.initializers.truncated_normal(0.02)


@dataclasses.dataclass(frozen=True)
class Layers:
  """Makes the layers of one ViT inside a module's compact call."""

  config: Config
  dtype: Any
  param_dtype: Any
  train: bool
  attention: str = "xla"

  def dense(self, width: int, name: str, use_bias: bool = True) -> nn.Dense:
    return nn.Dense(
      width, use_bias, kernel_init=_init, name=name, **self.dtypes
    )

  def norm(self, name: str) -> nn.LayerNorm:
    eps = self.config.norm_eps
    # The fast variance, E[x²] - E[x]², loses digits.
    return nn.LayerNorm(eps, use_fast_variance=False, name=name, **self.dtypes)

  def dropout(self, rate: float, axes: tuple[int, ...] = ()) -> nn.Dropout:
    return nn.Dropout(rate, axes, deterministic=not self.train)

  def scale(self, name: str) -> LayerScale:
    return LayerScale(self.config.layer_scale, name=name, **self.dtypes)

  def head(self, spec: Head | int, name: str) -> Any:
    return make_head(spec, kernel_init=_init, name=name, **self.dtypes)

  @property
  def dtypes(self) -> dict[str, Any]:
    return {"dtype": self.dtype, "param_dtype": self.param_dtype}


class Tokens(nn.Module):
  """Learned rows [1 n d] that are the same for every image."""

  rows: int
  layers: Layers
  std: float = 0.02

  @nn.compact
  def __call__(self) -> Float[Array, "1 n d"]:
    layers = self.layers
    init = nn.initializers.truncated_normal(self.std)
    shape = (1, self.rows, layers.config.width)
    rows = self.param("embedding", init, shape, layers.param_dtype)
    return jnp.asarray(rows, layers.dtype)


class Block(nn.Module):
  """Attention and an MLP, each of its normalised input, added to it."""

  layers: Layers
  drop_path: float

  @nn.compact
  def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
    for kind, branch in (("attention", Attention), ("mlp", Mlp)):
      y = self.layers.norm(f"{kind}_norm")(x)
      y = branch(self.layers, name=kind)(y)
      if self.layers.config.layer_scale:
        y = self.layers.scale(f"{kind}_scale")(y)
      # One draw for an image: its branch is whole or not there.
      x = x + self.layers.dropout(self.drop_path, (1, 2))(y)
    return x


class Attention(nn.Module):
  """Every token looks at all tokens.

  The dense layers see [b*n, d]: with [b, n, d] their kernels' gradients cost
  a transposed copy of every activation on CPU.
  """

  layers: Layers

  @nn.compact
  def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
    layers, config = self.layers, self.layers.config
    b, n, d = x.shape
    rows = x.reshape(b * n, d)
    query, key, value = (
      layers.dense(d, name, config.qkv_bias)(rows)
      .reshape(b, n, config.heads, -1)
      for name in ("query", "key", "value")
    )  # fmt: skip
    y = attend(
      query,
      key,
      value,
      Sees(),
      drop=layers.dropout(config.attention_dropout),
      by=layers.attention,
    )
    y = layers.dense(d, "out")(y.reshape(b * n, d)).reshape(b, n, d)
    return layers.dropout(config.dropout)(y)


class Mlp(nn.Module):
  """Dense layers with a nonlinearity between; on [b*n, d] as `Attention`."""

  layers: Layers

  @nn.compact
  def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
    layers, config = self.layers, self.layers.config
    rows, activation = (
      x.reshape(-1, config.width),
      ACTIVATIONS[config.activation],
    )
    y = layers.dense(config.mlp_width, "up")(rows)
    if config.gated:
      y = activation(layers.dense(config.mlp_width, "gate")(rows)) * y
    else:
      y = activation(y)
    y = layers.dense(config.width, "down")(layers.dropout(config.dropout)(y))
    return layers.dropout(config.dropout)(y).reshape(x.shape)
