"""Texts written by a decoder, token after token, in one compiled program."""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jft.adapters import Adapted
from jft.errors import UserError
from jft.models.cache import init_cache
from jft.models.decoder_config import writes
from jft.net import Net
from jft.sampling import GREEDY, Sampling, sample
from jft.tuning.adapters.prompt import Prompt
from jft.typing import (
  Any,
  ApplyFn,
  Array,
  Bool,
  Int,
  Key,
  Mapping,
  Sequence,
  Variables,
)


@dataclasses.dataclass(frozen=True)
class Generated:
  """What was written after each prompt.

  Attributes:
    tokens: Int["b m"], `pad_id` after the end.
    lengths: Int["b"], how many were written, the one that ended it included.
    ended: Bool["b"], whether a stop token ended it.
  """

  tokens: Int[Array, "b m"]
  lengths: Int[Array, "b"]
  ended: Bool[Array, "b"]


def generate(
  net: Net,
  inputs: Mapping[str, Any],
  *,
  max_new_tokens: int,
  sampling: Sampling = GREEDY,
  stop: Sequence[int] = (),
  pad_id: int = 0,
  key: Key | None = None,
  variables: Variables | None = None,
) -> Generated:
  """Writes on from each prompt.

  The prompts are read at once, then one token at a time is added from what was
  read before (a cache of keys and values). Compiled once for a network, shapes
  and settings. Row i is the same whatever other rows stand beside it, up to
  rounding.

  Args:
    net: a decoder with its language-model head.
    inputs: `input_ids` Int["b n"], and `attention_mask`, 0 on padding; prompts
      of different lengths may be padded on either side.
    max_new_tokens: m, at most.
    sampling: how a token is chosen; the default is the likeliest.
    stop: ids that end a text.
    pad_id: what stands after the end.
    key: for sampling.
    variables: instead of the network's own, such as a `TrainState`'s.

  Raises:
    UserError: for a network that writes no text, a prompt that is empty or
      leaves no room in what the model can read, or sampling without a key.

  Source: transformers, GenerationMixin.generate, to which greedy texts are
    equal token by token.
  """
  learned = _learned_tokens(net)
  ids, mask = _checked(net, inputs, max_new_tokens, learned)
  if sampling.temperature and key is None:
    raise UserError("sampling needs key=jax.random.key(0), or temperature=0.")
  return _generate(
    net.apply,
    net.spec.config,
    max_new_tokens,
    learned,
    sampling,
    net.variables if variables is None else variables,
    ids,
    mask,
    jnp.asarray(tuple(stop), jnp.int32),
    jnp.int32(pad_id),
    jax.random.key(0) if key is None else key,
  )


def _learned_tokens(net: Net) -> int:
  """How many columns of the cache the prompts of adapters take."""
  if not isinstance(net, Adapted):
    return 0
  methods = [net.methods[name] for name in net.active]
  return sum(one.tokens for one in methods if isinstance(one, Prompt))


def _checked(
  net: Net, inputs: Mapping[str, Any], new: int, learned: int
) -> tuple[Array, Array]:
  config = net.spec.config
  if not writes(config):
    raise UserError(
      f"{net.spec.source or net.spec.preset!r} writes no text: generate needs a"
      " decoder with its language-model head (num_classes=None)."
    )
  if new < 1:
    raise UserError(f"max_new_tokens={new} must be at least 1.")
  ids = jnp.asarray(inputs["input_ids"], jnp.int32)
  mask = jnp.asarray(inputs.get("attention_mask", jnp.ones_like(ids)))
  if ids.ndim != 2 or mask.shape != ids.shape:
    raise UserError(
      f"input_ids and attention_mask must be [b n], got {list(ids.shape)} and"
      f" {list(mask.shape)}."
    )
  lengths = jax.device_get(mask.astype(jnp.int32).sum(-1))
  if not ids.size or not lengths.all():
    raise UserError(
      "a prompt is empty: give at least one token, such as the one that begins"
      " a text."
    )
  most = int(lengths.max())
  if most + learned + new > config.max_tokens:
    own = f", {learned} tokens of its adapter" if learned else ""
    raise UserError(
      f"a prompt of {most} tokens{own} and max_new_tokens={new} are more than"
      f" the {config.max_tokens} that the model can read; shorten one of them."
    )
  if (top := int(jax.device_get(ids.max()))) >= config.vocab_size:
    raise UserError(
      f"the prompt has the token {top}, and the model only {config.vocab_size}:"
      " is the tokenizer that of the model?"
    )
  return ids, mask


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _generate(
  apply: ApplyFn,
  config: Any,
  new: int,
  learned: int,
  sampling: Sampling,
  variables: Variables,
  ids: Int[Array, "b n"],
  mask: Int[Array, "b n"],
  stop: Int[Array, "s"],
  pad_id: Int[Array, ""],
  key: Key,
) -> Generated:
  b, n = ids.shape
  ids, mask = _to_the_right(ids, mask)
  dtype = _dtype(apply, variables, ids, mask)
  cache = init_cache(config, b, learned + n + new, dtype)
  keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(jnp.arange(b))

  def choose(outputs: Any, step: Any) -> Int[Array, "b"]:
    drawn = jax.vmap(lambda k: jax.random.fold_in(k, step))(keys)
    return sample(outputs["logits"][:, -1], sampling, drawn)

  def read(cache: Any, ids: Array, mask: Array, **more: Any) -> Any:
    last = jnp.full((b, 1), ids.shape[1] - 1)
    inputs = {"input_ids": ids, "attention_mask": mask, "cache": cache}
    return apply(variables, {**inputs, "logits_at": last, **more})

  def go_on(carry: Any) -> Any:
    step, _, done, _, _ = carry
    return (step < new) & ~done.all()

  def write(carry: Any) -> Any:
    step, token, done, written, cache = carry
    outputs = read(cache, token[:, None], jnp.ones((b, 1), mask.dtype))
    token = jnp.where(done, pad_id, choose(outputs, step))
    written = jax.lax.dynamic_update_index_in_dim(written, token, step, 1)
    done = done | jnp.isin(token, stop)
    return step + 1, token, done, written, outputs["cache"]

  begins = {"begins": True} if learned else {}
  outputs = read(cache, ids, mask, **begins)
  token = choose(outputs, 0)
  written = jnp.full((b, new), pad_id, jnp.int32).at[:, 0].set(token)
  done = jnp.isin(token, stop)
  carry = (jnp.int32(1), token, done, written, outputs["cache"])
  step, _, done, written, _ = jax.lax.while_loop(go_on, write, carry)
  ends = jnp.isin(written, stop) & (jnp.arange(new) < step)
  first = jnp.where(ends.any(1), ends.argmax(1) + 1, step)
  return Generated(written, first, done)


jax.tree_util.register_dataclass(Generated)


def _to_the_right(ids: Array, mask: Array) -> tuple[Array, Array]:
  """Moves what is no padding to the end of each row, in its order."""
  order = jnp.argsort(mask > 0, axis=1, stable=True)
  return jnp.take_along_axis(ids, order, 1), jnp.take_along_axis(mask, order, 1)


def _dtype(
  apply: ApplyFn, variables: Variables, ids: Array, mask: Array
) -> Any:
  """The type that the network computes in: that of its states."""
  inputs = {"input_ids": ids, "attention_mask": mask}
  return jax.eval_shape(apply, variables, inputs)["hidden"].dtype
