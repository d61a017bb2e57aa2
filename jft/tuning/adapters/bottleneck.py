"""Bottleneck adapters: a narrow MLP behind or beside a branch of a block."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from jft import tree as trees
from jft.errors import UserError
from jft.tuning.adapters.blocks import branches
from jft.tuning.adapters.method import Interceptor, Method, subtree
from jft.tuning.adapters.sites import Site
from jft.typing import Any, Array, Callable, Float, Key, Mapping, Params, Rules

BOTH: Rules = ((r"(.*/)?block_\d+/(attention|mlp)", True),)
MLP: Rules = ((r"(.*/)?block_\d+/mlp", True),)

Draw = Callable[[Key, tuple[int, int]], Array]


@dataclasses.dataclass(frozen=True)
class Bottleneck(Method):
  """y + scale · up(activation(down(z))), z the branch's output or its input.

  Attributes:
    width: between `down` and `up`.
    parallel: z is what the branch reads, else what it gives.
    scale: factor on what is added.
    rules: ordered (regex over modules' names, True or None): which branches.
    activation: between `down` and `up`.
    down_init, up_init: (key, shape) -> kernel.
  """

  width: int
  parallel: bool
  scale: float
  rules: Rules
  activation: Callable[[Array], Array]
  down_init: Draw
  up_init: Draw

  def init(self, params: Params, key: Key, sites: Mapping[str, Site]) -> Params:
    """Returns a tree that changes nothing, or next to nothing, yet."""
    made: Params = {}
    for name in branches(self.rules, sites, self._name):
      d = self._channels(name, sites[name])
      down, up = jax.random.split(jax.random.fold_in(key, len(made)))
      made[f"{name}/bottleneck"] = {
        "down": {
          "kernel": self.down_init(down, (d, self.width)),
          "bias": jnp.zeros(self.width),
        },
        "up": {
          "kernel": self.up_init(up, (self.width, d)),
          "bias": jnp.zeros(d),
        },
      }
    return trees.unflatten(made)

  def intercept(
    self, tree: Params, *, train: bool, key: Key | None
  ) -> Interceptor:
    """Returns the interceptor that adds the narrow MLPs."""

    def added(next_fun: Any, args: Any, kwargs: Any, context: Any) -> Any:
      out = next_fun(*args, **kwargs)
      own = subtree(tree, context.module)
      if context.method_name != "__call__" or not own:
        return out
      if "bottleneck" not in own:
        return out
      # A decoder's attention gives its cache as well.
      y, *rest = out if isinstance(out, tuple) else (out,)
      z = args[0] if self.parallel else y
      y = y + self._narrow(own["bottleneck"], z).astype(y.dtype)
      return (y, *rest) if isinstance(out, tuple) else y

    return added

  def merge(self, params: Params, tree: Params) -> Params:
    """Raises a UserError: no kernel of the base is the same."""
    raise UserError(
      f"{self._name} adapters have a nonlinearity of their own and cannot be"
      " merged into the base; keep them beside it."
    )

  @property
  def _name(self) -> str:
    return "parallel" if self.parallel else "houlsby"

  def _narrow(
    self, own: Params, z: Float[Array, "b n d"]
  ) -> Float[Array, "b n d"]:
    own = jax.tree.map(lambda leaf: leaf.astype(z.dtype), own)
    hidden = z @ own["down"]["kernel"] + own["down"]["bias"]
    hidden = self.activation(hidden)
    return self.scale * (hidden @ own["up"]["kernel"] + own["up"]["bias"])

  def _channels(self, name: str, site: Site) -> int:
    reads, gives = site.inputs, site.outputs or site.inputs
    if not reads or not gives or reads[-1] != gives[-1]:
      raise UserError(
        f"{self._name}: {name!r} ({site.kind}) reads {reads} and gives {gives},"
        " not as many channels; leave it out of the adapter's rules."
      )
    if not 1 <= self.width <= gives[-1]:
      raise UserError(
        f"{self._name}: width {self.width} for {name!r} of {gives[-1]} channels"
        f" must be 1 to {gives[-1]}."
      )
    return gives[-1]


def houlsby(
  width: int = 64, *, std: float = 1e-2, rules: Rules = BOTH
) -> Bottleneck:
  """Returns serial adapters, behind attention and MLP of every block.

  Args:
    width: of the bottleneck.
    std: of the normal, cut off at two of it, that both kernels are drawn from:
      so small that the network is at first nearly the base.
    rules: which branches.

  Source: Houlsby et al., 2019 (arXiv:1902.00751); the activation is that of
  google-research/adapter-bert. In training they read a branch before its
  dropout, there after it.

  >>> houlsby(8).parallel
  False
  """

  def draw(key: Key, shape: tuple[int, int]) -> Array:
    return std * jax.random.truncated_normal(key, -2.0, 2.0, shape)

  return Bottleneck(width, False, 1.0, rules, jax.nn.gelu, draw, draw)


def parallel(
  width: int = 64, *, scale: float = 4.0, rules: Rules = MLP
) -> Bottleneck:
  """Returns parallel adapters, beside the MLP of every block.

  Args:
    width: of the bottleneck.
    scale: factor on what is added.
    rules: which branches.

  Source: He et al., 2022 (arXiv:2110.04366), "scaled parallel adapter".

  >>> parallel(8).scale
  4.0
  """

  def draw(key: Key, shape: tuple[int, int]) -> Array:
    bound = 1 / math.sqrt(shape[0])
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

  def zeros(key: Key, shape: tuple[int, int]) -> Array:
    return jnp.zeros(shape)

  return Bottleneck(width, True, scale, rules, jax.nn.relu, draw, zeros)
