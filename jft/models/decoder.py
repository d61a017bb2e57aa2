"""Text decoders: every token sees those before it; a cache, and heads."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jft.errors import UserError
from jft.models import causal
from jft.models.attention import capped
from jft.models.causal import Sight
from jft.models.decoder_config import DecoderConfig
from jft.models.decoder_layers import Block, Layers
from jft.models.head import Head, make_head
from jft.typing import Array, Bool, Callable, Float, Int, Mapping


class Decoder(nn.Module):
  """Embeddings, `block_00`..., `norm`, then `head`.

  Attributes:
    config: of the family.
    num_classes: see the family's `module`.
    dtype, param_dtype: of computation and parameters.
    remat: compute each block again in the backward pass.
    scan: run the blocks as one loop over their stacked parameters: compiling
      takes as long as for one block. An interceptor of modules sees the one
      block in it, under a name without a number.
    attention: who computes it, see `jft.models.attention.attend`.
  """

  config: DecoderConfig
  num_classes: Head | int | None = None
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32
  remat: bool = False
  scan: bool = False
  attention: str = "xla"

  @nn.compact
  def __call__(
    self,
    inputs: Mapping[str, Any],
    *,
    train: bool = False,
    axis_name: str | None = None,
  ) -> dict[str, Any]:
    """Runs the network.

    Args:
      inputs: `input_ids` [b n]; `attention_mask` [b n], 1 for tokens and 0 for
        padding on either side; and, if need be, `segment_ids` [b n] of packed
        texts, which do not see each other, 0 for padding; `positions` [b n],
        by default the number of the text's tokens before; `logits_at` [b k],
        the columns whose next words are scored, by default all n; and
        `cache`, see `jft.models.cache.init_cache`.
      train: drop out, which needs `rngs={"dropout": key}`.
      axis_name: not used: no statistics span the batch.

    Returns:
      `hidden` [b n d], the last token states; `features` [b d], pooled from
      them; `logits`, of words, [b n vocab_size], or of classes, [b k], if
      there is a head; and `cache`, where one came in.

    Raises:
      UserError: if an input is missing, or of another shape, or too long; or
        for a head that the task cannot have.
    """
    layers = Layers(
      self.config, self.dtype, self.param_dtype, train, self.attention
    )
    seen = causal.view(inputs, self.config, self.first_position())
    cache = inputs.get("cache")
    x, to_words = Embeddings(layers, name="embeddings")(
      inputs["input_ids"], seen.positions
    )
    if cache is not None:
      # What does not fit would overwrite the last columns: no numbers then.
      x = jnp.where(causal.room(cache, x.shape[1]), x, jnp.nan)
    run = self._loop if not self.scan or self.is_initializing() else self._scan
    x, blocks = run(layers, x, seen.sights, cache)
    x = layers.norm("norm")(x)
    features = _pooled(x, seen.attend, self.config.pooling)
    outputs = {"hidden": x, "features": features}
    if self.num_classes is not None:
      asked = inputs.get("logits_at")
      states = x if asked is None else _taken(x, asked)
      outputs["logits"] = self._logits(
        self.num_classes, layers, states, features, to_words
      )
    if cache is not None:
      index = cache["index"] + x.shape[1]
      outputs["cache"] = {"index": index, "mask": seen.mask, **blocks}
    return outputs

  def first_position(self) -> int:
    """Returns the position of a text's first token."""
    return 0

  def _loop(
    self, layers: Layers, x: Array, sights: Mapping[str, Sight], cache: Any
  ) -> tuple[Array, dict[str, Any]]:
    make_block = nn.remat(Block) if self.remat else Block
    blocks = {}
    for i, kind in enumerate(self.config.kinds):
      name = f"block_{i:02d}"
      own = None if cache is None else cache[name]
      block = make_block(layers, self.config.window_of(kind), name=name)
      x, blocks[name] = block(x, sights[kind], own)
    return x, blocks

  def _scan(
    self, layers: Layers, x: Array, sights: Mapping[str, Sight], cache: Any
  ) -> tuple[Array, dict[str, Any]]:
    names = [f"block_{i:02d}" for i in range(self.config.depth)]
    params = self.variables["params"]
    order = sorted(sights)
    kinds = jnp.array([order.index(kind) for kind in self.config.kinds])
    key = self.make_rng("dropout") if self.has_rng("dropout") else None
    # Of several kinds, which one a block is known inside the loop alone.
    window = self.config.window_of(order[0]) if len(order) == 1 else None
    block, every = Block(layers, window, parent=None), _stacked(sights.values())

    def step(x: Array, one: Any) -> tuple[Array, Any]:
      number, kind, own_params, own_cache = one
      own_key = None if key is None else jax.random.fold_in(key, number)
      rngs = None if own_key is None else {"dropout": own_key}
      sight = jax.tree.map(lambda leaf: leaf[kind], every)
      return block.apply({"params": own_params}, x, sight, own_cache, rngs=rngs)

    own = None if cache is None else _stacked(cache[name] for name in names)
    stacked = _stacked(params[name] for name in names)
    numbers = jnp.arange(self.config.depth)
    step = jax.checkpoint(step, prevent_cse=False) if self.remat else step
    x, own = jax.lax.scan(step, x, (numbers, kinds, stacked, own))
    return x, {
      name: jax.tree.map(lambda leaf, i=i: leaf[i], own)
      for i, name in enumerate(names)
    }

  def _logits(
    self,
    head: Head | int,
    layers: Layers,
    x: Float[Array, "b n d"],
    features: Float[Array, "b d"],
    to_words: Callable[[Array], Array],
  ) -> Array:
    config = self.config
    init = nn.initializers.normal(config.init_std)
    if config.task == "classification":
      # As the original: an own head with a bias is one of jft's kinds.
      make = make_head(
        head, kernel_init=init, use_bias=isinstance(head, Head), **layers.dtypes
      )
      return make(features, layers.train)
    if head != config.vocab_size:
      raise UserError(
        f"the outputs of task 'lm' are the {config.vocab_size} words, got"
        f' num_classes={head}; give task="classification" for classes.'
      )
    rows = x.reshape(-1, config.width)
    if config.tied:
      scores = to_words(rows)
    else:
      scores = layers.dense(config.vocab_size, "head")(rows)
    if config.style.logit_cap:
      scores = capped(scores, config.style.logit_cap)
    return scores.reshape(*x.shape[:2], -1)


class Embeddings(nn.Module):
  """A token's word and, where the family learns them, its position."""

  layers: Layers

  @nn.compact
  def __call__(
    self, ids: Array, positions: Array
  ) -> tuple[Float[Array, "b n d"], Callable[[Array], Array]]:
    """Returns the sum, and the function that scores all words by states."""
    layers, config = self.layers, self.layers.config
    word = layers.embed(config.vocab_size, "word")
    x = word(ids)
    if config.style.embedding_scale != 1:
      x = x * jnp.asarray(config.style.embedding_scale, x.dtype)
    if config.position_rows:
      x = x + layers.embed(config.position_rows, "position")(positions)
    return layers.dropout(config.embedding_dropout)(x), word.attend


def _stacked(trees: Any) -> Any:
  return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _taken(
  x: Float[Array, "b n d"], columns: Int[Array, "b k"]
) -> Float[Array, "b k d"]:
  return jnp.take_along_axis(x, columns[..., None], axis=1)


def _pooled(
  x: Float[Array, "b n d"], attend: Bool[Array, "b n"], pooling: str
) -> Float[Array, "b d"]:
  n = x.shape[1]
  if pooling == "last":
    last = n - 1 - jnp.argmax(attend[:, ::-1], axis=1)
    return _taken(x, last[:, None])[:, 0]
  weights = attend[..., None].astype(jnp.float32)
  total = (x * weights).sum(axis=1)
  return (total / jnp.maximum(weights.sum(axis=1), 1)).astype(x.dtype)
