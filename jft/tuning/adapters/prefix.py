"""Prefix tuning: learned keys and values before those of every block's text."""

import dataclasses

import jax
import jax.numpy as jnp

from jft import tree as trees
from jft.errors import UserError
from jft.tuning.adapters import texts
from jft.tuning.adapters.blocks import blocks
from jft.tuning.adapters.method import Interceptor, Method, subtree
from jft.tuning.adapters.sites import Site
from jft.typing import Any, Array, Float, Key, Mapping, Params, Sequence

_EMBEDDING = "prefix_embedding"
_LAYERS = ("prefix_in", "prefix_out")
KINDS = ("key", "value")
"""In the order in which a block's stand."""


@dataclasses.dataclass(frozen=True)
class Prefix(Method):
  """Every token of every block also sees `tokens` learned keys and values.

  They have no rotary angle, are never masked nor out of a window, and the
  text's positions begin behind them.

  Attributes:
    tokens: how many.
    projection: width of the MLP that makes all of them from one embedding, as
      the paper trains them; 0 trains them as they are.

  Source: Li and Liang, 2021 (arXiv:2101.00190); peft.PrefixTuningConfig.
  """

  tokens: int = 20
  projection: int = 0

  def init(self, params: Params, key: Key, sites: Mapping[str, Site]) -> Params:
    """Returns a tree of normal draws, as peft's."""
    texts.check("prefix tuning", self.tokens, params, sites)
    found = [f"{name}/attention" for name in blocks(sites, "prefix tuning")]
    if absent := [name for name in found if f"{name}/key" not in sites]:
      raise UserError(f"prefix tuning: the network has no {absent[0]}/key.")
    width = _last(sites[f"{found[0]}/key"])
    if self.projection:
      size = 2 * len(found) * width
      return self._projected(key, _last(sites["embeddings/word"]), size)
    keys = jax.random.split(key, (len(found), 2))
    return trees.unflatten(
      {
        f"{name}/prefix_{kind}": jax.random.normal(
          keys[i, j], (self.tokens, width)
        )
        for i, name in enumerate(found)
        for j, kind in enumerate(KINDS)
      }
    )

  def intercept(
    self, tree: Params, *, train: bool, key: Key | None
  ) -> Interceptor:
    """Returns the interceptor that puts keys and values in front."""

    def prefixed(next_fun: Any, args: Any, kwargs: Any, context: Any) -> Any:
      module, name = context.module, context.method_name
      # Blocks that run as one loop have no path either.
      whole = not module.path and hasattr(module, "config")
      if whole and name == "__call__":
        texts.check_room("prefix tuning", args[0], self.tokens, module.config)
      if whole and name in ("positions", "first_position"):
        return next_fun(*args, **kwargs) + self.tokens
      if name != "mix":
        return next_fun(*args, **kwargs)
      own = self._own(tree, module)
      if own is None:
        return next_fun(*args, **kwargs)
      query, key, value, sees, _ = args
      key, value = (
        jnp.concatenate([_heads(prefix, x), x], axis=1)
        for prefix, x in zip(own, (key, value), strict=True)
      )
      seen = jnp.ones((*sees.mask.shape[:-1], self.tokens), sees.mask.dtype)
      mask = jnp.concatenate([seen, sees.mask], axis=-1)
      # The rules that a kernel goes by know of no prefix: XLA takes the mask.
      sees = dataclasses.replace(sees, mask=mask)
      return next_fun(query, key, value, sees, "xla")

    return prefixed

  def merge(self, params: Params, tree: Params) -> Params:
    """Raises a UserError: no weight of the base is the same."""
    raise UserError(
      "prefix tuning adds keys and values that no weight of the base can give;"
      " it cannot be merged. Keep it beside the base."
    )

  def _projected(self, key: Key, width: int, size: int) -> Params:
    keys = jax.random.split(key, 5)
    made = {_EMBEDDING: jax.random.normal(keys[0], (self.tokens, width))}
    shapes = ((width, self.projection), (self.projection, size))
    for i, (name, shape) in enumerate(zip(_LAYERS, shapes, strict=True)):
      bound = shape[0] ** -0.5
      for j, (leaf, of) in enumerate((("kernel", shape), ("bias", shape[1:]))):
        made[f"{name}/{leaf}"] = jax.random.uniform(
          keys[1 + 2 * i + j], of, minval=-bound, maxval=bound
        )
    return trees.unflatten(made)

  def _own(self, tree: Params, module: Any) -> tuple[Array, Array] | None:
    """Returns a block's keys and values, [tokens kv*d] each."""
    if not self.projection:
      own = subtree(tree, module)
      return None if not own else (own["prefix_key"], own["prefix_value"])
    # Of this block alone: the numbers of the others would be thrown away.
    number = int(module.path[-2].rpartition("_")[2])
    width = module.variables["params"]["key"]["kernel"].shape[-1]
    out = _made(tree, slice(2 * number * width, 2 * (number + 1) * width))
    return out[:, :width], out[:, width:]


def unprojected(
  method: Prefix, tree: Params, params: Params
) -> tuple[Prefix, Params]:
  """Returns the prefix with the keys and values that its MLP makes.

  Args:
    method, tree: of the adapter; one without an MLP is returned as it is.
    params: of the base.
  """
  if not method.projection:
    return method, tree
  end = "/attention/key/kernel"
  flat = trees.flatten(params)
  found = sorted(n.removesuffix("/key/kernel") for n in flat if n.endswith(end))
  own = of_blocks(_made(tree), found)
  return dataclasses.replace(method, projection=0), own


def of_blocks(rows: Float[Array, "p w"], names: Sequence[str]) -> Params:
  """Returns a prefix's tree of the keys and values of all blocks in a row.

  Args:
    rows: of each block its keys, then its values.
    names: of the blocks' attentions, from below.
  """
  leaves = [f"{name}/prefix_{kind}" for name in names for kind in KINDS]
  parts = jnp.split(rows, len(leaves), axis=1)
  return trees.unflatten(dict(zip(leaves, parts, strict=True)))


def _made(tree: Params, own: slice = slice(None)) -> Float[Array, "p w"]:
  """Returns what the MLP makes, or some columns of it."""
  first, second = (tree[name] for name in _LAYERS)
  hidden = tree[_EMBEDDING] @ first["kernel"] + first["bias"]
  return jnp.tanh(hidden) @ second["kernel"][:, own] + second["bias"][own]


def _last(site: Site) -> int:
  return (site.outputs or (0,))[-1]


def _heads(
  prefix: Float[Array, "p w"], like: Float[Array, "b n h d"]
) -> Float[Array, "b p h d"]:
  rows = prefix.reshape(1, -1, *like.shape[2:]).astype(like.dtype)
  return jnp.broadcast_to(rows, (like.shape[0], *rows.shape[1:]))
