"""Text encoders: blocks that normalise after each residual sum, and heads."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jft.errors import UserError
from jft.models import attention
from jft.models.activations import ACTIVATIONS
from jft.models.attention import Sees
from jft.models.head import Head, make_head
from jft.models.text_config import TextConfig
from jft.typing import Array, Bool, Callable, Float, Int, Mapping, Outputs


class TextEncoder(nn.Module):
  """Embeddings, `block_00`..., `pooler` if there is one, then `head`.

  What a family does in its own way are the methods below.
  """

  config: TextConfig
  num_classes: Head | int | None = None
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32
  remat: bool = False
  attention: str = "xla"

  def positions(self, ids: Int[Array, "b n"]) -> Int[Array, "*b n"]:
    """Returns the row of the positions' embedding for every token."""
    return jnp.arange(ids.shape[1])

  def features_head(self, num_classes: int) -> tuple[Head | int, float]:
    """Returns the family's own classifier and the dropout before it."""
    return num_classes, self.config.head_rate

  def tokens_dropout(self) -> float:
    """Returns the dropout before a classifier of tokens."""
    return self.config.head_rate

  @nn.compact
  def __call__(
    self,
    inputs: Mapping[str, Int[Array, "b n"]],
    *,
    train: bool = False,
    axis_name: str | None = None,
  ) -> Outputs:
    """Runs the network.

    Args:
      inputs: `input_ids`; `attention_mask`, 1 for tokens and 0 for padding;
        and, if there are segments, `token_type_ids`, which a model that knows
        none does not look at.
      train: drop out, which needs `rngs={"dropout": key}`.
      axis_name: not used: no statistics span the batch.

    Returns:
      `hidden` [b n d], the last token states; `features` [b d], pooled from
      them; and `logits`, [b k] or of every token [b n k], if there is a head.

    Raises:
      UserError: if an input is missing, or of another shape, or too long; or
        for a head that the task cannot have.
    """
    _check_inputs(inputs, self.config)
    config = self.config
    layers = Layers(config, self.dtype, self.param_dtype, train, self.attention)
    attend = inputs["attention_mask"] > 0
    ids = inputs["input_ids"]
    x, to_words = Embeddings(layers, name="embeddings")(
      ids, self.positions(ids), inputs.get("token_type_ids")
    )
    make_block = nn.remat(Block) if self.remat else Block
    for i in range(config.depth):
      x = make_block(layers, name=f"block_{i:02d}")(x, attend)
    features = _pooled(layers, x, attend)
    outputs = {"hidden": x, "features": features}
    if config.normalize:
      outputs["features"] = _normalized(features)
    if self.num_classes is not None:
      head = self.num_classes
      outputs["logits"] = self._logits(head, layers, x, features, to_words)
    return outputs

  def _logits(
    self,
    head: Head | int,
    layers: "Layers",
    x: Float[Array, "b n d"],
    features: Float[Array, "b d"],
    to_words: Callable[[Array], Array],
  ) -> Array:
    rate = self.config.head_rate
    if self.config.task == "mlm":
      if head != self.config.vocab_size:
        raise UserError(
          f"the outputs of task 'mlm' are the {self.config.vocab_size} words,"
          f" got num_classes={head}."
        )
      return MlmHead(layers, name="head")(x, to_words)
    if self.config.task == "tokens":
      features, rate = x, self.tokens_dropout()
    elif isinstance(head, int):
      head, rate = self.features_head(head)
    if isinstance(self.num_classes, Head) and self.num_classes.dropout:
      rate = 0.0  # the head was given its own
    make = make_head(
      head,
      kernel_init=nn.initializers.normal(self.config.init_std),
      dtype=self.dtype,
      param_dtype=self.param_dtype,
    )
    return make(layers.dropout(rate)(features), layers.train)


@dataclasses.dataclass(frozen=True)
class Layers:
  """Makes the layers of one encoder inside a module's compact call."""

  config: TextConfig
  dtype: Any
  param_dtype: Any
  train: bool
  attention: str = "xla"

  def dense(self, width: int, name: str) -> nn.Dense:
    init = nn.initializers.normal(self.config.init_std)
    return nn.Dense(width, kernel_init=init, name=name, **self._dtypes)

  def embed(self, rows: int, name: str) -> nn.Embed:
    init = nn.initializers.normal(self.config.init_std)
    width = self.config.width
    return nn.Embed(rows, width, embedding_init=init, name=name, **self._dtypes)

  def norm(self, name: str) -> nn.LayerNorm:
    eps = self.config.norm_eps
    # The fast variance, E[x²] - E[x]², loses digits.
    return nn.LayerNorm(eps, use_fast_variance=False, name=name, **self._dtypes)

  def dropout(self, rate: float) -> nn.Dropout:
    return nn.Dropout(rate, deterministic=not self.train)

  @property
  def _dtypes(self) -> dict[str, Any]:
    return {"dtype": self.dtype, "param_dtype": self.param_dtype}


class Embeddings(nn.Module):
  """The sum of a token's word, position and segment, normalised."""

  layers: Layers

  @nn.compact
  def __call__(
    self,
    ids: Int[Array, "b n"],
    positions: Int[Array, "*b n"],
    token_types: Int[Array, "b n"] | None,
  ) -> tuple[Float[Array, "b n d"], Callable[[Array], Array]]:
    """Returns the sum, and the function that scores all words by states."""
    layers, config = self.layers, self.layers.config
    word = layers.embed(config.vocab_size, "word")
    x = word(ids)
    if config.segments:
      if token_types is None or config.segments == 1:
        token_types = jnp.zeros((1, 1), jnp.int32)
      x = x + layers.embed(config.segments, "token_type")(token_types)
    x = x + layers.embed(config.position_rows, "position")(positions)
    return layers.dropout(config.dropout)(layers.norm("norm")(x)), word.attend


class Block(nn.Module):
  """Attention and an MLP, each added to its input and then normalised."""

  layers: Layers

  @nn.compact
  def __call__(
    self, x: Float[Array, "b n d"], attend: Bool[Array, "b n"]
  ) -> Float[Array, "b n d"]:
    layers = self.layers
    drop = layers.dropout(layers.config.dropout)
    y = Attention(layers, name="attention")(x, attend)
    x = layers.norm("attention_norm")(x + drop(y))
    y = Mlp(layers, name="mlp")(x)
    return layers.norm("mlp_norm")(x + drop(y))


class Attention(nn.Module):
  """Every token looks at all tokens that are not padding.

  The dense layers see [b*n, d]: with [b, n, d] their kernels' gradients cost
  a transposed copy of every activation on CPU.
  """

  layers: Layers

  @nn.compact
  def __call__(
    self, x: Float[Array, "b n d"], attend: Bool[Array, "b n"]
  ) -> Float[Array, "b n d"]:
    layers, config = self.layers, self.layers.config
    b, n, d = x.shape
    rows = x.reshape(b * n, d)
    query, key, value = (
      layers.dense(d, name)(rows).reshape(b, n, config.heads, -1)
      for name in ("query", "key", "value")
    )
    sees = Sees(attend[:, None, None, :], attend.astype(jnp.int32))
    y = self.mix(query, key, value, sees, layers.attention)
    return layers.dense(d, "out")(y.reshape(b * n, d)).reshape(b, n, d)

  def mix(
    self,
    query: Float[Array, "b n h d"],
    key: Float[Array, "b m h d"],
    value: Float[Array, "b m h d"],
    sees: Sees,
    by: str,
  ) -> Float[Array, "b n h d"]:
    """Returns the values that each query's scores weigh."""
    drop = self.layers.dropout(self.layers.config.attention_dropout)
    return attention.attend(query, key, value, sees, drop=drop, by=by)


class Mlp(nn.Module):
  """Two dense layers; on [b*n, d] for the reason given in `Attention`."""

  layers: Layers

  @nn.compact
  def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
    layers, config = self.layers, self.layers.config
    y = layers.dense(config.mlp_width, "up")(x.reshape(-1, config.width))
    y = ACTIVATIONS[config.activation](y)
    return layers.dense(config.width, "down")(y).reshape(x.shape)


class MlmHead(nn.Module):
  """Scores every word for every token, by the word embedding itself."""

  layers: Layers

  @nn.compact
  def __call__(
    self, x: Float[Array, "b n d"], to_words: Callable[[Array], Array]
  ) -> Float[Array, "b n v"]:
    layers, config = self.layers, self.layers.config
    y = layers.dense(config.width, "dense")(x.reshape(-1, config.width))
    y = layers.norm("norm")(ACTIVATIONS[config.mlm_activation](y))
    zeros = nn.initializers.zeros
    words = (config.vocab_size,)
    bias = self.param("bias", zeros, words, layers.param_dtype)
    y = to_words(y) + bias.astype(layers.dtype)
    return y.reshape(*x.shape[:2], -1)


def _pooled(
  layers: Layers, x: Float[Array, "b n d"], attend: Bool[Array, "b n"]
) -> Float[Array, "b d"]:
  if layers.config.pooler:
    return nn.tanh(layers.dense(layers.config.width, "pooler")(x[:, 0]))
  return _mean(x, attend) if layers.config.pooling == "mean" else x[:, 0]


def _mean(
  x: Float[Array, "b n d"], attend: Bool[Array, "b n"]
) -> Float[Array, "b d"]:
  weights = attend[..., None].astype(jnp.float32)
  total = (x * weights).sum(axis=1)
  return (total / jnp.maximum(weights.sum(axis=1), 1)).astype(x.dtype)


def _normalized(x: Float[Array, "b d"]) -> Float[Array, "b d"]:
  wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  squares = (wide**2).sum(axis=-1, keepdims=True)
  # Under the root, where a vector of zeros still has a gradient.
  return (wide / jnp.sqrt(jnp.maximum(squares, 1e-24))).astype(x.dtype)


def _check_inputs(inputs: Any, config: TextConfig) -> None:
  names = ("input_ids", "attention_mask")
  if not isinstance(inputs, Mapping) or not all(n in inputs for n in names):
    got = sorted(inputs) if isinstance(inputs, Mapping) else type(inputs)
    raise UserError(
      f"{config.title} expects a dict with {' and '.join(names)}, got {got}."
    )
  shape = inputs["input_ids"].shape
  for name in (*names, "token_type_ids"):
    if name in inputs and (len(shape) != 2 or inputs[name].shape != shape):
      raise UserError(
        f"{config.title} expects input_ids [b n] and {name} of the same shape,"
        f" got {list(shape)} and {list(inputs[name].shape)}."
      )
  if shape[1] > config.max_tokens:
    raise UserError(
      f"{config.title} has positions for {config.max_tokens} tokens, got"
      f" {shape[1]}; truncate the texts."
    )
