"""Keys and values of the tokens that a decoder has read: plain arrays."""

from typing import Any

import jax
import jax.core
import jax.numpy as jnp

from jft.errors import UserError
from jft.models.decoder_config import DecoderConfig
from jft.typing import Array, Bool, Float, Int, Mapping

Cache = dict[str, Any]
"""{"index": next free column, "mask": columns that hold a token,
"block_00": {"key": [b m kv d], "value": [b m kv d]}, ...}."""


def init_cache(
  config: DecoderConfig, batch: int, length: int, dtype: Any = jnp.float32
) -> Cache:
  """Returns an empty cache; it goes in as `inputs["cache"]` and comes out so.

  Args:
    config: of the decoder.
    batch: rows.
    length: columns: tokens of the longest text, prompt and padding included.
    dtype: of keys and values, as the decoder computes.

  Raises:
    UserError: for a size that the decoder cannot have.

  >>> from jft.models.llama_presets import PRESETS
  >>> cache = init_cache(PRESETS["stories260k"], batch=1, length=16)
  >>> cache["block_04"]["key"].shape
  (1, 16, 4, 8)
  """
  if batch < 1 or not 1 <= length <= config.max_tokens:
    raise UserError(
      f"a cache of {config.title} needs a positive batch and a length from 1"
      f" to {config.max_tokens}, got {batch} and {length}."
    )
  shape = (batch, length, config.kv_heads, config.head_dim)
  blocks = {
    f"block_{i:02d}": {
      "key": jnp.zeros(shape, dtype),
      "value": jnp.zeros(shape, dtype),
    }
    for i in range(config.depth)
  }
  mask = jnp.zeros((batch, length), bool)
  return {"index": jnp.zeros((), jnp.int32), "mask": mask, **blocks}


def check_cache(cache: Any, config: DecoderConfig, shape: Any) -> None:
  """Raises a UserError for a cache of another decoder, or one that is full.

  Args:
    cache: as it came in.
    config: of the decoder.
    shape: [b n] of the tokens to be read.
  """
  blocks = {f"block_{i:02d}" for i in range(config.depth)}
  if not isinstance(cache, Mapping) or not blocks <= cache.keys():
    raise UserError(
      f"the cache is none of this {config.title} of {config.depth} blocks;"
      " make one with init_cache(net.spec.config, batch, length)."
    )
  rows, columns = cache["mask"].shape
  heads = cache["block_00"]["key"].shape[2:]
  if rows != shape[0] or heads != (config.kv_heads, config.head_dim):
    raise UserError(
      f"the cache holds {rows} rows and heads {heads}, expected {shape[0]} and"
      f" {(config.kv_heads, config.head_dim)}."
    )
  index = cache["index"]
  used = 0 if isinstance(index, jax.core.Tracer) else int(index)
  if used + shape[1] > columns:
    raise UserError(
      f"the cache has {columns} columns, {used} of them used, got {shape[1]}"
      " more tokens; make a longer one."
    )


def written(
  cache: Mapping[str, Array],
  index: Int[Array, ""],
  key: Float[Array, "b n kv d"],
  value: Float[Array, "b n kv d"],
) -> dict[str, Array]:
  """Returns a block's cache with keys and values from column `index` on.

  Args:
    cache: of one block.
    index: the first column.
    key, value: of the tokens just read.
  """
  new = {"key": key, "value": value}
  return {
    name: jax.lax.dynamic_update_slice_in_dim(
      cache[name], new[name].astype(cache[name].dtype), index, axis=1
    )
    for name in new
  }


def written_mask(
  cache: Cache, attend: Bool[Array, "b n"]
) -> Bool[Array, "b m"]:
  """Returns which columns hold a token, those just read included.

  Args:
    cache: before.
    attend: which of the tokens just read are no padding.
  """
  return jax.lax.dynamic_update_slice_in_dim(
    cache["mask"], attend, cache["index"], axis=1
  )
