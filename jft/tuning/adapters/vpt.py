"""Visual prompt tuning: learned tokens between those of an image."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from jft import tree as trees
from jft.errors import UserError
from jft.tuning.adapters import low_rank
from jft.tuning.adapters.blocks import blocks
from jft.tuning.adapters.method import Interceptor, Method, module_key, subtree
from jft.tuning.adapters.sites import Site
from jft.typing import Any, Array, Float, Key, Mapping, Params


@dataclasses.dataclass(frozen=True)
class VPT(Method):
  """`tokens` learned tokens behind the first one, before every block or one.

  Attributes:
    tokens: how many.
    deep: every block has its own, and what a block makes of them is dropped;
      else the first block has them and they run through all.
    dropout: of the learned tokens.

  Source: Jia et al., 2022 (arXiv:2203.12119).
  """

  tokens: int = 10
  deep: bool = True
  dropout: float = 0.0

  def init(self, params: Params, key: Key, sites: Mapping[str, Site]) -> Params:
    """Returns a tree of uniform draws, as the paper's code."""
    if self.tokens < 1:
      raise UserError(f"vpt: tokens={self.tokens} must be at least 1.")
    names = blocks(sites, "vpt")
    if "embeddings/patch" not in sites:
      raise UserError(
        f"vpt is for vision transformers, which {sites[''].kind} is not; choose"
        " prompt or prefix for texts."
      )
    patch = params["embeddings"]["patch"]["kernel"].shape
    bound = math.sqrt(6 / (math.prod(patch[:-1]) + patch[-1]))
    return trees.unflatten(
      {
        f"{name}/prompt": jax.random.uniform(
          jax.random.fold_in(key, i),
          (self.tokens, patch[-1]),
          minval=-bound,
          maxval=bound,
        )
        for i, name in enumerate(names if self.deep else names[:1])
      }
    )

  def intercept(
    self, tree: Params, *, train: bool, key: Key | None
  ) -> Interceptor:
    """Returns the interceptor that puts the tokens in and takes them out."""
    under_way: list[str] = []  # A block under remat is called within itself.

    def prompted(next_fun: Any, args: Any, kwargs: Any, context: Any) -> Any:
      module, name = context.module, "/".join(context.module.path)
      if context.method_name != "__call__" or name in under_way:
        return next_fun(*args, **kwargs)
      own = subtree(tree, module) or {}
      last = self._is_last(module)
      if not last and "prompt" not in own:
        return next_fun(*args, **kwargs)
      under_way.append(name)
      x, *rest = args
      if "prompt" in own:
        x = _with(x, self._dropped(own["prompt"], module, train, key))
      x = next_fun(x, *rest, **kwargs)
      under_way.pop()
      return x if not (self.deep or last) else _without(x, self.tokens)

    return prompted

  def merge(self, params: Params, tree: Params) -> Params:
    """Raises a UserError: no weight of the base is the same."""
    raise UserError(
      "vpt adds tokens that no weight of the base can give; it cannot be"
      " merged. Keep it beside the base."
    )

  def _dropped(
    self, prompt: Array, module: Any, train: bool, key: Key | None
  ) -> Array:
    if not (train and self.dropout):
      return prompt
    if key is None:
      raise UserError("vpt's dropout needs rngs={'dropout': key}.")
    return low_rank.dropped(prompt, self.dropout, module_key(key, module))

  def _is_last(self, module: Any) -> bool:
    if len(module.path) != 1 or not hasattr(module, "layers"):
      return False
    return module.path[0] == f"block_{module.layers.config.depth - 1:02d}"


def _with(
  x: Float[Array, "b n d"], prompt: Float[Array, "p d"]
) -> Float[Array, "b m d"]:
  rows = jnp.broadcast_to(prompt.astype(x.dtype), (len(x), *prompt.shape))
  return jnp.concatenate([x[:, :1], rows, x[:, 1:]], axis=1)


def _without(x: Float[Array, "b m d"], tokens: int) -> Float[Array, "b n d"]:
  return jnp.concatenate([x[:, :1], x[:, 1 + tokens :]], axis=1)
