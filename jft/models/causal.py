"""Who sees whom in a decoder: what each kind of block needs to know."""

from typing import NamedTuple

import jax.numpy as jnp

from jft.errors import UserError
from jft.models import rope
from jft.models.cache import Cache, check_cache, written_mask
from jft.models.decoder_config import DecoderConfig
from jft.typing import Any, Array, Bool, Float, Int, Mapping


class Sight(NamedTuple):
  """What the attention of one kind of block goes by.

  Attributes:
    mask: which keys a query sees.
    segments: the number of each token's text, 0 for padding.
    cos, sin: of its rotary angles, None without.
    index: the column from where the cache is written, None without.
  """

  mask: Bool[Array, "b 1 n m"]
  segments: Int[Array, "b n"]
  cos: Float[Array, "b n 1 half"] | None
  sin: Float[Array, "b n 1 half"] | None
  index: Int[Array, ""] | None


class View(NamedTuple):
  """What the inputs say, besides the words.

  Attributes:
    attend: which tokens are no padding.
    positions: of the tokens, from 0.
    sights: of each kind of block.
    mask: the cache's, with these tokens; None without a cache.
  """

  attend: Bool[Array, "b n"]
  positions: Int[Array, "b n"]
  sights: dict[str, Sight]
  mask: Bool[Array, "b m"] | None


def view(
  inputs: Mapping[str, Any], config: DecoderConfig, first_position: int = 0
) -> View:
  """Returns who sees whom.

  A token sees itself and the tokens before it that are no padding: those of
  its own segment, and within the window. Padding sees itself, so that no
  softmax is over nothing.

  Args:
    inputs: of the decoder.
    config: of it.
    first_position: what all positions are moved on by.

  Raises:
    UserError: if an input is missing, of another shape, or too long.
  """
  check_inputs(inputs, config)
  attend = inputs["attention_mask"] > 0
  segments, cache = inputs.get("segment_ids"), inputs.get("cache")
  if segments is not None:
    attend = attend & (segments > 0)
  texts = jnp.where(attend, 1 if segments is None else segments, 0)
  n = attend.shape[1]
  index = None if cache is None else cache["index"]
  queries = jnp.arange(n) + (0 if index is None else index)
  held = attend if cache is None else written_mask(cache, attend)
  keys = jnp.arange(held.shape[1])
  behind = queries[:, None] - keys
  seen = (behind >= 0) & held[:, None, :]
  if segments is not None:
    seen = seen & (segments[:, :, None] == segments[:, None, :])
  positions = inputs.get("positions")
  if positions is None:
    positions = jnp.maximum(seen.sum(-1) - attend, 0)
  positions = positions + first_position
  sights = {}
  for kind in sorted(set(config.kinds)):
    near = seen
    if window := config.window_of(kind):
      near = seen & (behind < window)
    mask = (near | (behind == 0))[:, None]
    cos = sin = None
    if kind in config.ropes:
      found = config.ropes[kind]
      cos, sin = rope.tables(found, positions, config.head_dim)
    sights[kind] = Sight(mask, texts, cos, sin, index)
  return View(attend, positions, sights, None if cache is None else held)


def room(cache: Cache, n: int) -> Bool[Array, ""]:
  """Returns whether n more tokens fit, which only the run can tell."""
  return cache["index"] + n <= cache["mask"].shape[1]


def check_inputs(inputs: Any, config: DecoderConfig) -> None:
  """Raises a UserError for inputs that the decoder cannot read.

  Args:
    inputs: of the decoder.
    config: of it.
  """
  names = ("input_ids", "attention_mask")
  if not isinstance(inputs, Mapping) or not all(n in inputs for n in names):
    got = sorted(inputs) if isinstance(inputs, Mapping) else type(inputs)
    raise UserError(
      f"{config.title} expects a dict with {' and '.join(names)}, got {got}."
    )
  shape = inputs["input_ids"].shape
  for name in (*names, "segment_ids", "positions"):
    found = inputs.get(name)
    if found is not None and (len(shape) != 2 or found.shape != shape):
      raise UserError(
        f"{config.title} expects input_ids [b n] and {name} of the same shape,"
        f" got {list(shape)} and {list(found.shape)}."
      )
  asked = inputs.get("logits_at")
  if asked is not None and (asked.ndim != 2 or len(asked) != shape[0]):
    raise UserError(
      f"{config.title} expects logits_at [b k], of {shape[0]} rows, got"
      f" {list(asked.shape)}."
    )
  if shape[1] > config.max_tokens:
    raise UserError(
      f"{config.title} reads at most {config.max_tokens} tokens, got"
      f" {shape[1]}; truncate the texts."
    )
  if (cache := inputs.get("cache")) is not None:
    if inputs.get("segment_ids") is not None:
      raise UserError("a cache holds one text a row: leave out segment_ids.")
    check_cache(cache, config, shape)
