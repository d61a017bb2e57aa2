"""Where an adapter could be: the modules that a network calls, by name."""

import dataclasses

import flax.linen as nn
import jax

from jft.typing import Any, ApplyFn, Mapping, Variables

_LEAVES = (nn.Dense, nn.DenseGeneral, nn.Conv, nn.Embed)


@dataclasses.dataclass(frozen=True)
class Site:
  """What is known of one module before anything is computed.

  Attributes:
    kind: its class, such as "Dense", "Conv", "Embed" or "Attention".
    inputs, outputs: shapes of the first argument and the result, None where
      they are no array.
    leaf: "kernel" or "embedding", "" for other modules.
    features: how many of the kernel's last axes are outputs.
    groups: of a convolution.
  """

  kind: str
  inputs: tuple[int, ...] | None
  outputs: tuple[int, ...] | None
  leaf: str = ""
  features: int = 1
  groups: int = 1


def probe(apply: ApplyFn, variables: Variables, inputs: Any) -> dict[str, Site]:
  """Returns {module name: Site} of all modules called; computes nothing.

  The network itself has the name "".

  Args:
    apply: of the network.
    variables: of the network, arrays or shapes.
    inputs: an example.
  """
  found: dict[str, Site] = {}

  def intercept(next_fun: Any, args: Any, kwargs: Any, context: Any) -> Any:
    out = next_fun(*args, **kwargs)
    if context.method_name == "__call__":
      module = context.module
      found["/".join(module.path)] = _site(module, args, out)
    return out

  with nn.intercept_methods(intercept):
    jax.eval_shape(lambda v, x: apply(v, x, train=False), variables, inputs)
  return found


def leaf_names(sites: Mapping[str, Site]) -> dict[str, str]:
  """Returns {leaf's name: module's name} of all that have a kernel.

  >>> leaf_names({"fc": Site("Dense", (1, 2), (1, 3), "kernel")})
  {'fc/kernel': 'fc'}
  """
  return {
    f"{name}/{site.leaf}": name for name, site in sites.items() if site.leaf
  }


def _site(module: nn.Module, args: Any, out: Any) -> Site:
  kind = type(module).__name__
  shapes = _shape(args[0] if args else None), _shape(out)
  if not isinstance(module, _LEAVES):
    return Site(kind, *shapes)
  if isinstance(module, nn.Embed):
    return Site(kind, *shapes, leaf="embedding")
  features, groups = 1, 1
  if isinstance(module, nn.DenseGeneral):
    if module.batch_dims:  # A kernel for each of the batch: no one side path.
      return Site(kind, *shapes)
    made = module.features
    features = 1 if isinstance(made, int) else len(tuple(made))
  if isinstance(module, nn.Conv):
    groups = module.feature_group_count
  return Site(kind, *shapes, "kernel", features, groups)


def _shape(value: Any) -> tuple[int, ...] | None:
  shape = getattr(value, "shape", None)
  return None if shape is None else tuple(shape)
