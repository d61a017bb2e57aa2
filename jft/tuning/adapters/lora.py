"""LoRA: beside a frozen kernel the product of two small ones is trained."""

import dataclasses
import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jft import rules as rule_engine
from jft import tree as trees
from jft.errors import UserError
from jft.tuning.adapters import low_rank, targets
from jft.tuning.adapters.method import Interceptor, Method, module_key, subtree
from jft.tuning.adapters.sites import Site
from jft.typing import Any, Array, Container, Key, Mapping, Params, Rules


class Rank(NamedTuple):
  """How large a layer's adapter is, and how much it counts.

  Attributes:
    rank: of the product.
    alpha: the product's factor is alpha / rank.
  """

  rank: int
  alpha: float


@dataclasses.dataclass(frozen=True)
class LoRA(Method):
  """x W + scale · (x A) B, with A and B trained.

  Attributes:
    rules: ordered (regex over kernels' names, Rank or None); what none covers
      has no adapter.
    dropout: of the side path's input.
    rank_stabilized: scale alpha / sqrt(rank), where plain is alpha / rank.

  Source: Hu et al., 2022 (arXiv:2106.09685); rank-stabilised: Kalajdzievski,
  2023 (arXiv:2312.03732).
  """

  rules: Rules
  dropout: float = 0.0
  rank_stabilized: bool = False

  def init(self, params: Params, key: Key, sites: Mapping[str, Site]) -> Params:
    """Returns a tree that changes nothing yet: one half is 0."""
    flat = trees.flatten(params)
    made = {}
    for name, rank in targets.chosen(self.rules, flat, sites).items():
      site = sites[name]
      kernel = flat[f"{name}/{site.leaf}"]
      check(f"{name}/{site.leaf}", kernel.shape, site, rank)
      own = jax.random.fold_in(key, len(made))
      a, b = low_rank.shapes(kernel.shape, site.features, rank.rank)
      made[f"{name}/lora_a"], made[f"{name}/lora_b"] = _drawn(site, own, a, b)
    return trees.unflatten(made)

  def intercept(
    self, tree: Params, *, train: bool, key: Key | None
  ) -> Interceptor:
    """Returns the interceptor that adds the side paths."""

    def beside(next_fun: Any, args: Any, kwargs: Any, context: Any) -> Any:
      y = next_fun(*args, **kwargs)
      module, own = context.module, subtree(tree, context.module)
      if own is None or "lora_a" not in own:
        return y
      leaf = "embedding" if isinstance(module, nn.Embed) else "kernel"
      scale = self.scale("/".join((*module.path, leaf)))
      if context.method_name == "attend":
        side = low_rank.attend(args[0], own["lora_a"], own["lora_b"])
        return y + (scale * side).astype(y.dtype)
      if context.method_name != "__call__":
        return y
      x = self.input(args[0], module, train, key)
      hidden = low_rank.down(module, leaf, x, own["lora_a"])
      side = (scale * low_rank.up(hidden, own["lora_b"])).astype(y.dtype)
      return self.joined(module, own, y, side, None if x is args[0] else x)

    return beside

  def joined(
    self, module: Any, own: Params, y: Array, side: Array, dropped: Array | None
  ) -> Array:
    """Returns the layer's output with the side path's.

    Args:
      module: the bound layer.
      own: its part of the tree.
      y, side: of the layer and the side path.
      dropped: the side path's input where it is not the layer's own.
    """
    return y + side

  def merge(self, params: Params, tree: Params) -> Params:
    """Returns the base's kernels with the products added."""
    flat = trees.flatten(params)
    for name, product in self.products(tree, flat).items():
      kernel = flat[name]
      wide = jnp.promote_types(kernel.dtype, product.dtype)
      flat[name] = (kernel.astype(wide) + product).astype(kernel.dtype)
    return trees.unflatten(flat)

  def products(self, tree: Params, names: Container[str]) -> dict[str, Array]:
    """Returns {kernel's name: what is added to it}.

    Args:
      tree: of the adapter.
      names: of the base's leaves.
    """
    made = {}
    for module, own in modules(tree).items():
      leaf = "kernel" if f"{module}/kernel" in names else "embedding"
      name = f"{module}/{leaf}"
      product = low_rank.product(own["lora_a"], own["lora_b"])
      made[name] = self.scale(name) * product
    return made

  def scale(self, name: str) -> float:
    """Returns the factor on the product, by the kernel's name."""
    return self.factor(rule_engine.first(self.rules, name))

  def factor(self, rank: Rank) -> float:
    """Returns the factor on the product."""
    return rank.alpha / (
      math.sqrt(rank.rank) if self.rank_stabilized else rank.rank
    )

  def input(
    self, x: Array, module: nn.Module, train: bool, key: Key | None
  ) -> Array:
    """Returns the side path's input, dropped out in training."""
    if not (train and self.dropout) or isinstance(module, nn.Embed):
      return x
    if key is None:
      raise UserError("an adapter's dropout needs rngs={'dropout': key}.")
    return low_rank.dropped(x, self.dropout, module_key(key, module))


def modules(tree: Params) -> dict[str, Params]:
  """Returns {module: {"lora_a": ..., "lora_b": ...}}.

  >>> modules({"a": {"b": {"lora_a": 1, "lora_b": 2}}})
  {'a/b': {'lora_a': 1, 'lora_b': 2}}
  """
  found: dict[str, Params] = {}
  for name, leaf in trees.flatten(tree).items():
    module, _, last = name.rpartition("/")
    found.setdefault(module, {})[last] = leaf
  return found


def check(name: str, kernel: tuple[int, ...], site: Site, rank: Rank) -> None:
  """Raises a UserError where a kernel cannot have such an adapter."""
  if site.groups > 1:
    raise UserError(
      f"{name!r} is a convolution in {site.groups} groups, which no product of"
      " two kernels is; leave it out of the adapter's rules."
    )
  cut = len(kernel) - site.features
  most = min(math.prod(kernel[:cut]), math.prod(kernel[cut:]))
  if not 1 <= rank.rank <= most:
    raise UserError(
      f"rank {rank.rank} for {name!r} {list(kernel)}: it must be 1 to {most};"
      " choose a smaller one, or leave the kernel out."
    )


def _drawn(
  site: Site, key: Key, a: tuple[int, ...], b: tuple[int, ...]
) -> tuple[Array, Array]:
  # As peft does, whose embeddings start with the other half at 0.
  if site.leaf == "embedding":
    return jnp.zeros(a), jax.random.normal(key, b)
  bound = 1 / math.sqrt(math.prod(a[:-1]))
  return jax.random.uniform(key, a, minval=-bound, maxval=bound), jnp.zeros(b)
