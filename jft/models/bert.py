"""BERT: a text encoder whose blocks normalise after each residual sum."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jft.errors import UserError
from jft.models.bert_config import ACTIVATIONS, PRESETS, BertConfig
from jft.models.head import Head, make_head
from jft.typing import Array, Bool, Float, Int, Mapping, Outputs

__all__ = ["PRESETS", "Bert", "BertConfig", "module"]


def module(
  config: BertConfig,
  num_classes: Head | int | None = None,
  *,
  dtype: Any = jnp.float32,
  param_dtype: Any = jnp.float32,
  remat: bool = False,
) -> "Bert":
  """Returns the Linen module of a config.

  Args:
    config: one of `PRESETS`, or your own.
    num_classes: outputs of the head, or its kind; None for no head.
    dtype: of the computation; softmax and LayerNorm's statistics stay float32.
    param_dtype: of the parameters.
    remat: compute each block's activations again in the backward pass: less
      memory for about a third more computation.

  >>> module(PRESETS["minilm_l6"], num_classes=2).config.width
  384
  """
  return Bert(config, num_classes, dtype, param_dtype, remat)


class Bert(nn.Module):
  """Embeddings, `block_00`... and `pooler`, then `head`.

  Source: Devlin et al., arXiv:1810.04805; transformers.BertModel and
  BertForSequenceClassification.
  """

  config: BertConfig
  num_classes: Head | int | None = None
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32
  remat: bool = False

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
        and, if there are segments, `token_type_ids`.
      train: drop out, which needs `rngs={"dropout": key}`.
      axis_name: not used: no statistics span the batch.

    Returns:
      `hidden` [b n d], the last token states; `features` [b d], pooled from
      them; and `logits` [b k] if there is a head.

    Raises:
      UserError: if an input is missing, or of another shape, or too long.
    """
    _check_inputs(inputs, self.config)
    config = self.config
    layers = Layers(config, self.dtype, self.param_dtype, train)
    attend = inputs["attention_mask"] > 0
    x = Embeddings(layers, name="embeddings")(
      inputs["input_ids"], inputs.get("token_type_ids")
    )
    make_block = nn.remat(Block) if self.remat else Block
    for i in range(config.depth):
      x = make_block(layers, name=f"block_{i:02d}")(x, attend)
    outputs = {"hidden": x}
    if config.pooling == "mean":
      features = _mean(x, attend)
    elif config.pooling == "cls":
      features = x[:, 0]
    else:
      features = nn.tanh(layers.dense(config.width, "pooler")(x[:, 0]))
    outputs["features"] = features
    if self.num_classes is not None:
      features = layers.dropout(config.head_dropout)(features)
      head = make_head(
        self.num_classes,
        kernel_init=nn.initializers.normal(config.init_std),
        dtype=self.dtype,
        param_dtype=self.param_dtype,
      )
      outputs["logits"] = head(features, train)
    return outputs


@dataclasses.dataclass(frozen=True)
class Layers:
  """Makes the layers of one BERT inside a module's compact call."""

  config: BertConfig
  dtype: Any
  param_dtype: Any
  train: bool

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
  """The sum of a token's word, position and type, normalised."""

  layers: Layers

  @nn.compact
  def __call__(
    self, ids: Int[Array, "b n"], token_types: Int[Array, "b n"] | None
  ) -> Float[Array, "b n d"]:
    layers, config = self.layers, self.layers.config
    if token_types is None:
      token_types = jnp.zeros((1, 1), jnp.int32)
    x = layers.embed(config.vocab_size, "word")(ids)
    x = x + layers.embed(config.token_types, "token_type")(token_types)
    positions = jnp.arange(ids.shape[1])
    x = x + layers.embed(config.max_tokens, "position")(positions)
    return layers.dropout(config.dropout)(layers.norm("norm")(x))


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
    wide = jnp.promote_types(layers.dtype, jnp.float32)
    scores = jnp.einsum(
      "bqhd,bkhd->bhqk", query, key, preferred_element_type=wide
    )
    # Not -inf: a row of nothing but padding would turn into NaN.
    least = jnp.finfo(wide).min
    scores = scores * query.shape[-1] ** -0.5
    scores = jnp.where(attend[:, None, None, :], scores, least)
    weights = nn.softmax(scores).astype(value.dtype)
    weights = layers.dropout(config.attention_dropout)(weights)
    y = jnp.einsum("bhqk,bkhd->bqhd", weights, value)
    return layers.dense(d, "out")(y.reshape(b * n, d)).reshape(b, n, d)


class Mlp(nn.Module):
  """Two dense layers; on [b*n, d] for the reason given in `Attention`."""

  layers: Layers

  @nn.compact
  def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
    layers, config = self.layers, self.layers.config
    y = layers.dense(config.mlp_width, "up")(x.reshape(-1, config.width))
    y = ACTIVATIONS[config.activation](y)
    return layers.dense(config.width, "down")(y).reshape(x.shape)


def _mean(
  x: Float[Array, "b n d"], attend: Bool[Array, "b n"]
) -> Float[Array, "b d"]:
  weights = attend[..., None].astype(jnp.float32)
  total = (x * weights).sum(axis=1)
  return (total / jnp.maximum(weights.sum(axis=1), 1)).astype(x.dtype)


def _check_inputs(inputs: Any, config: BertConfig) -> None:
  names = ("input_ids", "attention_mask")
  if not isinstance(inputs, Mapping) or not all(n in inputs for n in names):
    got = sorted(inputs) if isinstance(inputs, Mapping) else type(inputs)
    raise UserError(
      f"BERT expects a dict with {' and '.join(names)}, got {got}."
    )
  shape = inputs["input_ids"].shape
  for name in (*names, "token_type_ids"):
    if name in inputs and (len(shape) != 2 or inputs[name].shape != shape):
      raise UserError(
        f"BERT expects input_ids [b n] and {name} of the same shape, got"
        f" {list(shape)} and {list(inputs[name].shape)}."
      )
  if shape[1] > config.max_tokens:
    raise UserError(
      f"BERT has positions for {config.max_tokens} tokens, got {shape[1]};"
      " truncate the texts."
    )
