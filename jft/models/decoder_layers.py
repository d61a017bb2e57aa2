"""The layers of a text decoder: norms, attention, MLP, and their block."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jft.models import rope
from jft.models.activations import ACTIVATIONS
from jft.models.attention import Sees, attend
from jft.models.cache import written
from jft.models.causal import Sight
from jft.models.decoder_config import DecoderConfig, Style
from jft.typing import Array, Float


@dataclasses.dataclass(frozen=True)
class Layers:
  """Makes the layers of one decoder inside a module's compact call."""

  config: DecoderConfig
  dtype: Any
  param_dtype: Any
  train: bool
  attention: str = "xla"

  @property
  def style(self) -> Style:
    return self.config.style

  def dense(
    self, width: int, name: str, *, bias: bool = False, last: bool = False
  ) -> nn.Dense:
    """A dense layer; `last` of a branch."""
    std = self.config.init_std
    if last and self.style.residual_std is not None:
      std = self.style.residual_std
    init = nn.initializers.normal(std)
    return nn.Dense(
      width, use_bias=bias, kernel_init=init, name=name, **self.dtypes
    )

  def embed(self, rows: int, name: str) -> nn.Embed:
    init = nn.initializers.normal(self.config.init_std)
    width = self.config.width
    return nn.Embed(rows, width, embedding_init=init, name=name, **self.dtypes)

  def norm(self, name: str) -> nn.Module:
    eps = self.config.norm_eps
    if self.style.norm == "layer":
      # The fast variance, E[x²] - E[x]², loses digits.
      fast = {"use_fast_variance": False}
      return nn.LayerNorm(eps, name=name, **fast, **self.dtypes)
    offset = self.style.norm == "rms_offset"
    return RmsNorm(eps, offset, name=name, **self.dtypes)

  def dropout(self, rate: float) -> nn.Dropout:
    return nn.Dropout(rate, deterministic=not self.train)

  @property
  def dtypes(self) -> dict[str, Any]:
    return {"dtype": self.dtype, "param_dtype": self.param_dtype}


class RmsNorm(nn.Module):
  """Divides by the root mean square over the channels, in float32.

  With `offset` the leaf is added to 1, and fresh ones are 0.

  Source: Zhang and Sennrich, arXiv:1910.07467.
  """

  epsilon: float
  offset: bool = False
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
    init = nn.initializers.zeros if self.offset else nn.initializers.ones
    scale = self.param("scale", init, x.shape[-1:], self.param_dtype)
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    mean = (wide**2).mean(axis=-1, keepdims=True)
    y = wide * jax.lax.rsqrt(mean + self.epsilon)
    if self.offset:
      return (y * (1 + scale.astype(y.dtype))).astype(self.dtype)
    return y.astype(self.dtype) * scale.astype(self.dtype)


class Block(nn.Module):
  """Attention and an MLP, each on normalised states and added to them.

  Its `window` is that of `jft.models.attention.Sees`.
  """

  layers: Layers
  window: int | None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b n d"], sight: Sight, cache: Any
  ) -> tuple[Float[Array, "b n d"], Any]:
    layers, config = self.layers, self.layers.config
    y = layers.norm("attention_norm")(x)
    attention = Attention(layers, self.window, name="attention")
    y, cache = attention(y, sight, cache)
    x = x + layers.dropout(config.dropout)(self._after(y, "attention"))
    y = layers.norm("mlp_norm")(x)
    y = self._after(Mlp(layers, name="mlp")(y), "mlp")
    return x + layers.dropout(config.dropout)(y), cache

  def _after(self, y: Float[Array, "b n d"], name: str) -> Array:
    if not self.layers.style.sandwich:
      return y
    return self.layers.norm(f"{name}_post_norm")(y)


class Attention(nn.Module):
  """Every token looks at what `sight` lets it.

  The dense layers see [b*n, d]: with [b, n, d] their kernels' gradients cost
  a transposed copy of every activation on CPU.
  """

  layers: Layers
  window: int | None

  @nn.compact
  def __call__(
    self, x: Float[Array, "b n d"], sight: Sight, cache: Any
  ) -> tuple[Float[Array, "b n d"], Any]:
    layers, config, style = self.layers, self.layers.config, self.layers.style
    b, n, d = x.shape
    rows = x.reshape(b * n, d)
    query, key, value = (
      layers.dense(heads * config.head_dim, name, bias=style.qkv_bias)(
        rows
      ).reshape(b, n, heads, config.head_dim)
      for name, heads in (
        ("query", config.heads),
        ("key", config.kv_heads),
        ("value", config.kv_heads),
      )
    )
    if style.qk_norm:
      query, key = (
        layers.norm("query_norm")(query),
        layers.norm("key_norm")(key),
      )
    if sight.cos is not None and sight.sin is not None:
      query = rope.rotate(query, sight.cos, sight.sin)
      key = rope.rotate(key, sight.cos, sight.sin)
    if cache is not None and sight.index is not None:
      cache = written(cache, sight.index, key, value)
      key, value = (cache[name].astype(x.dtype) for name in ("key", "value"))
    sees = Sees(sight.mask, sight.segments, causal=True, window=self.window)
    # One query at a time gains nothing from a kernel.
    by = layers.attention if cache is None else "xla"
    y = self.mix(query, key, value, sees, by)
    out = layers.dense(d, "out", bias=style.out_bias, last=True)
    return out(y.reshape(b * n, -1)).reshape(b, n, d), cache

  def mix(
    self,
    query: Float[Array, "b n h d"],
    key: Float[Array, "b m kv d"],
    value: Float[Array, "b m kv d"],
    sees: Sees,
    by: str,
  ) -> Float[Array, "b n h d"]:
    """Returns the values that each query's scores weigh."""
    config, style = self.layers.config, self.layers.style
    return attend(
      query,
      key,
      value,
      sees,
      scale=style.query_scale,
      cap=style.attention_cap,
      drop=self.layers.dropout(config.attention_dropout),
      by=by,
    )


class Mlp(nn.Module):
  """Two or three dense layers; on [b*n, d] for `Attention`'s reason."""

  layers: Layers

  @nn.compact
  def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
    layers, config = self.layers, self.layers.config
    bias, rows = layers.style.mlp_bias, x.reshape(-1, config.width)
    activation = ACTIVATIONS[config.activation]
    y = layers.dense(config.mlp_width, "up", bias=bias)(rows)
    if layers.style.gated:
      gate = layers.dense(config.mlp_width, "gate", bias=bias)(rows)
      y = activation(gate) * y
    else:
      y = activation(y)
    out = layers.dense(config.width, "down", bias=bias, last=True)
    return out(y).reshape(x.shape)
