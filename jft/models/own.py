"""A user's own Flax model, Linen or NNX, as pure functions."""

import dataclasses
import inspect
import types
from typing import Any

import flax.linen as nn
import jax
from flax import nnx

from jft import tree
from jft.errors import UserError
from jft.tuning import frozen_norm
from jft.typing import ApplyFn, Callable, Key, Mapping, Variables

_COLLECTIONS = types.MappingProxyType(
  {"Param": "params", "BatchStat": "batch_stats"}
)


@dataclasses.dataclass(frozen=True)
class Pure:
  """A model without state.

  Attributes:
    shapes: {"params/...": shape and dtype} of every variable.
    draw: key -> {name: array}, as the model initialises itself.
    apply: in jft's signature, see `jft.net.Net`.
  """

  shapes: Mapping[str, jax.ShapeDtypeStruct]
  draw: Callable[[Key], dict[str, Any]]
  apply: ApplyFn


def pure(model: Any, inputs: Any) -> Pure:
  """Returns a model's pure functions.

  `__call__` takes the inputs and, where it has them, `train` (or `training`,
  or `deterministic`) and `axis_name`. It returns logits, or a dict.

  Args:
    model: a Linen module; or an NNX model, which is left as it is.
    inputs: an example, for the shapes.

  Raises:
    UserError: if it is neither, or draws nothing.
  """
  if isinstance(model, nn.Module):
    made = _linen(model, inputs)
  elif isinstance(model, nnx.Module):
    made = _nnx(model)
  else:
    raise UserError(
      f"expected a Linen or an NNX module, got {type(model).__name__}; any"
      " other function enters as jft.Net(apply, variables, spec, report)."
    )
  if not any(name.startswith("params/") for name in made.shapes):
    raise UserError(f"{type(model).__name__} has no parameters.")
  return made


def _linen(module: nn.Module, inputs: Any) -> Pure:
  takes = _taken(module)

  def draw(key: Key) -> dict[str, Any]:
    keys = {"params": key, "dropout": jax.random.fold_in(key, 1)}
    return tree.flatten(
      dict(module.init(keys, inputs, **_mode(takes, False, None)))
    )

  def apply(
    variables: Variables,
    inputs: Any,
    *,
    train: bool = False,
    rngs: Mapping[str, Key] | None = None,
    mutable: Any = False,
    axis_name: str | None = None,
  ) -> Any:
    _check_axis(takes, axis_name, mutable)
    mode = _mode(takes, train, axis_name)
    keys = dict(rngs) if rngs else None
    out = module.apply(variables, inputs, rngs=keys, mutable=mutable, **mode)
    if mutable is False:
      return _outputs(out)
    return _outputs(out[0]), out[1]

  return Pure(jax.eval_shape(draw, jax.random.key(0)), draw, apply)


def _nnx(model: nnx.Module) -> Pure:
  takes = _taken(model)
  graph, state = nnx.split(model)
  flat = dict(nnx.to_flat_state(state))
  names = {path: _name(path, variable) for path, variable in flat.items()}
  kept = {path: name for path, name in names.items() if name is not None}
  values = {name: flat[path][...] for path, name in kept.items()}

  def merged(variables: Mapping[str, Any]) -> nnx.Module:
    given = tree.flatten(variables)
    leaves = [
      (path, variable.replace(given[kept[path]]) if path in kept else variable)
      for path, variable in flat.items()
    ]
    return nnx.merge(graph, nnx.from_flat_state(leaves), copy=True)

  def apply(
    variables: Variables,
    inputs: Any,
    *,
    train: bool = False,
    rngs: Mapping[str, Key] | None = None,
    mutable: Any = False,
    axis_name: str | None = None,
  ) -> Any:
    _check_axis(takes, axis_name, mutable)
    made = merged(variables)
    made.train() if train else made.eval()
    _hold(made)
    if rngs:
      streams: Any = {"default": next(iter(rngs.values())), **rngs}
      nnx.reseed(made, **streams)
    out = _outputs(made(inputs, **_mode(takes, train, axis_name)))
    if mutable is False:
      return out
    after = dict(nnx.to_flat_state(nnx.state(made)))
    changed = {
      name: after[path][...]
      for path, name in kept.items()
      if name.partition("/")[0] in mutable
    }
    return out, tree.unflatten(changed) if changed else {}

  shapes = jax.eval_shape(lambda: values)
  return Pure(shapes, lambda key: values, apply)


def _name(path: tuple[Any, ...], variable: Any) -> str | None:
  """The variable's name; None for what is no array to keep (random keys)."""
  kind = type(variable).__name__
  if kind.startswith("Rng"):
    return None
  collection = _COLLECTIONS.get(kind, kind.lower())
  return "/".join((collection, *(str(part) for part in path)))


def _hold(model: nnx.Module) -> None:
  """Does to an NNX model's BatchNorms what Linen's interceptor does."""
  held = frozen_norm.held()
  for path, module in nnx.iter_modules(model):
    if not isinstance(module, nnx.BatchNorm):
      continue
    if "/".join(map(str, path)) in held:
      module.use_running_average = True
    if frozen_norm.measuring():
      module.use_running_average = False
      module.momentum = 0.0


def _taken(model: Any) -> frozenset[str]:
  return frozenset(inspect.signature(type(model).__call__).parameters)


def _mode(
  takes: frozenset[str], train: bool, axis_name: str | None
) -> dict[str, Any]:
  values = {
    "train": train,
    "training": train,
    "deterministic": not train,
    "axis_name": axis_name,
  }
  return {name: values[name] for name in values if name in takes}


def _check_axis(
  takes: frozenset[str], axis_name: str | None, mutable: Any
) -> None:
  """Statistics of each device's own part would differ from one to another."""
  if not mutable or axis_name is None or "axis_name" in takes:
    return
  if jax.lax.axis_size(axis_name) > 1:
    raise UserError(
      "the model updates statistics but its __call__ takes no axis_name, so"
      " that each device would have others: give it one for its BatchNorm, or"
      " train on one device (train.devices=1)."
    )


def _outputs(out: Any) -> dict[str, Any]:
  return dict(out) if isinstance(out, Mapping) else {"logits": out}
