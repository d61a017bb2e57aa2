"""(IA)³: vectors that scale keys, values and the inner states of the MLPs."""

import dataclasses

import jax.numpy as jnp

from jft import tree as trees
from jft.errors import UserError
from jft.tuning.adapters import targets
from jft.tuning.adapters.method import Interceptor, Method, subtree
from jft.tuning.adapters.sites import Site
from jft.typing import Any, Key, Mapping, Params, Rules

OUTPUT, INPUT = "output", "input"
RULES: Rules = (
  (r"(.*/)?attention/(key|value)/kernel", OUTPUT),
  (r"(.*/)?block_\d+/mlp/down/kernel", INPUT),
)
"""As in the paper: keys, values, and what the MLP's second layer reads."""


@dataclasses.dataclass(frozen=True)
class IA3(Method):
  """l · (x W + b), or (l · x) W + b, with l trained, from 1.

  Attributes:
    rules: ordered (regex over kernels' names, "output", "input" or None); what
      none covers has no vector.

  Source: Liu et al., 2022 (arXiv:2205.05638); peft.IA3Config, whose
  `feedforward_modules` are those with "input".
  """

  rules: Rules = RULES

  def init(self, params: Params, key: Key, sites: Mapping[str, Site]) -> Params:
    """Returns a tree of ones, which change nothing yet."""
    flat = trees.flatten(params)
    made = {}
    for name, side in targets.chosen(self.rules, flat, sites).items():
      site = sites[name]
      kernel = flat[f"{name}/{site.leaf}"]
      check(f"{name}/{site.leaf}", site, side)
      size = kernel.shape[-1 if side == OUTPUT else -2]
      made[f"{name}/{side}/scale"] = jnp.ones(size)
    return trees.unflatten(made)

  def intercept(
    self, tree: Params, *, train: bool, key: Key | None
  ) -> Interceptor:
    """Returns the interceptor that scales."""

    def scaled(next_fun: Any, args: Any, kwargs: Any, context: Any) -> Any:
      own = subtree(tree, context.module)
      if context.method_name != "__call__" or not own:
        return next_fun(*args, **kwargs)
      if _is_vector(own.get(INPUT)):
        x = args[0] * own[INPUT]["scale"].astype(args[0].dtype)
        return next_fun(x, *args[1:], **kwargs)
      y = next_fun(*args, **kwargs)
      if _is_vector(own.get(OUTPUT)):
        y = y * own[OUTPUT]["scale"].astype(y.dtype)
      return y

    return scaled

  def merge(self, params: Params, tree: Params) -> Params:
    """Returns the base's kernels, and biases of outputs, scaled."""
    flat = trees.flatten(params)
    for name, scale in trees.flatten(tree).items():
      module, side, _ = name.rsplit("/", 2)
      wide = scale if side == OUTPUT else scale[:, None]
      leaves = ("kernel", "bias") if side == OUTPUT else ("kernel",)
      for leaf in (f"{module}/{leaf}" for leaf in leaves):
        if leaf in flat:
          flat[leaf] = (flat[leaf] * wide).astype(flat[leaf].dtype)
    return trees.unflatten(flat)


def check(name: str, site: Site, side: Any) -> None:
  """Raises a UserError where a kernel cannot have such a vector."""
  if side not in (OUTPUT, INPUT):
    raise UserError(
      f'ia3: the rule for {name!r} says {side!r}; give "output" or "input".'
    )
  if site.leaf != "kernel" or site.features != 1 or site.groups != 1:
    raise UserError(
      f"ia3 scales dense layers and convolutions of one group, which {name!r}"
      f" ({site.kind}) is not; leave it out of the adapter's rules."
    )


def _is_vector(found: Any) -> bool:
  return isinstance(found, Mapping) and "scale" in found
