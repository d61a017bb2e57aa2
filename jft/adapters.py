"""A network with adapters: add, choose, merge, and take apart again."""

import dataclasses

import jax
import jax.numpy as jnp

from jft import loading, tree
from jft.errors import UserError, did_you_mean
from jft.net import Net
from jft.own import Own
from jft.pretrained.report import Report, Row
from jft.tuning.adapters.combine import combine
from jft.tuning.adapters.lora import LoRA
from jft.tuning.adapters.method import ADAPTERS, Method, wrap
from jft.tuning.adapters.sites import Site, probe
from jft.typing import Any, ApplyFn, Iterable, Key, Mapping, Params


@dataclasses.dataclass(frozen=True)
class Adapted(Net):
  """A network with adapters, whose trees are in `params["adapters"]`.

  Attributes:
    inner: the base's apply.
    methods: {name: method} of all adapters.
    active: names of those that run.
  """

  inner: ApplyFn
  methods: Mapping[str, Method]
  active: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Merged(Net):
  """A network whose adapters are worked into its weights.

  Attributes:
    unmerged: what it was made from.
    difference: the outputs' largest, over the largest output.
  """

  unmerged: Adapted
  difference: float


def sites(net: Net, inputs: Any = None) -> dict[str, Site]:
  """Returns what is known of every module of a network, by name.

  Args:
    net: of jft's own architectures.
    inputs: an example (None: the smallest that it takes).

  Raises:
    UserError: for a model of your own.
  """
  if isinstance(net.spec.config, Own):
    raise UserError(
      "adapters are for jft's own architectures: the modules of"
      f" {net.spec.family!r} have no names that are known; train parts of it by"
      " tune.rules."
    )
  if inputs is None:
    inputs = loading.dummy_inputs(net.spec, net.spec.config)
  return probe(net.apply, net.variables, inputs)


def add(
  net: Net,
  method: Method,
  name: str = "default",
  *,
  key: Key,
  at: Mapping[str, Site] | None = None,
) -> Adapted:
  """Returns the network with a fresh adapter, which runs with those it has.

  Args:
    net: with or without adapters.
    method: such as `jft.tuning.adapters.lora.LoRA`.
    name: of the adapter.
    key: draws it.
    at: what `sites` returned, where the network's inputs are not its family's.

  Raises:
    UserError: if the method does not fit the network, or the name is taken.
  """
  inner, methods, active = net.apply, {}, ()
  if isinstance(net, Adapted):
    inner, methods, active = net.inner, dict(net.methods), net.active
  _check_free(methods, name)
  params = dict(net.params)
  trees = dict(params.pop(ADAPTERS, {}))
  fresh = method.init(params, key, at or sites(net))
  trees[name] = fresh
  methods[name] = method
  active = (*active, name)
  return Adapted(
    wrap(inner, methods, active),
    {
      **net.variables,
      "params": {**method.rebase(params, fresh), ADAPTERS: trees},
    },
    net.spec,
    Report((*net.report.rows, *_rows(name, fresh))),
    inner,
    methods,
    active,
  )


def switch(net: Adapted, *names: str) -> Adapted:
  """Returns the network running these adapters alone; none is the base.

  Raises:
    UserError: for a name that it does not have.
  """
  _check_known(net, names)
  apply = wrap(net.inner, net.methods, names)
  return dataclasses.replace(net, apply=apply, active=names)


def weighted(
  net: Adapted, weights: Mapping[str, float], name: str, how: str = "cat"
) -> Adapted:
  """Returns the network running one new adapter made of several.

  Args:
    net: the network, which keeps the others.
    weights: {name: weight} of LoRAs that it has.
    name: of the new one.
    how: see `jft.tuning.adapters.combine.combine`.

  Raises:
    UserError: for a name that is not there or taken, or adapters that cannot be
      combined.
  """
  _check_free(net.methods, name)
  _check_known(net, weights)
  trees = net.params[ADAPTERS]
  method, fresh = combine(
    [_as_lora(net.methods[known], known) for known in weights],
    [trees[known] for known in weights],
    list(weights.values()),
    how,
  )
  methods = {**net.methods, name: method}
  params = {**net.params, ADAPTERS: {**trees, name: fresh}}
  return dataclasses.replace(
    net,
    apply=wrap(net.inner, methods, (name,)),
    variables={**net.variables, "params": params},
    report=Report((*net.report.rows, *_rows(name, fresh))),
    methods=methods,
    active=(name,),
  )


def merge(net: Adapted, inputs: Any, *, tolerance: float = 1e-4) -> Merged:
  """Returns the network with its running adapters worked into the weights.

  Args:
    net: the network.
    inputs: real ones, on which both are compared.
    tolerance: largest difference of an output, as a share of the largest.

  Raises:
    UserError: if an adapter cannot be merged, changes nothing, or the merged
      network's outputs differ.
  """
  params, trees = base(net.params), net.params.get(ADAPTERS, {})
  for name in net.active:
    params = net.methods[name].merge(params, trees[name])
  variables = {**net.variables, "params": params}
  apply = jax.jit(net.apply)
  ours, theirs = apply(variables, inputs), apply(net.variables, inputs)
  before = apply({**net.variables, "params": base(net.params)}, inputs)
  difference = _difference(ours, theirs)
  if _difference(ours, before) == 0:
    raise UserError(
      f"the adapters {list(net.active)} change no output: they are not trained,"
      " or not the ones that were; nothing was merged."
    )
  if not difference <= tolerance:
    raise UserError(
      f"merged, the network's outputs differ by {difference:.1e} of the largest"
      f" one, more than {tolerance:.0e}; keep the adapters beside it, or merge"
      " in float32."
    )
  return Merged(
    net.apply, variables, net.spec, net.report, net, float(difference)
  )


def unmerge(net: Merged) -> Adapted:
  """Returns the network that was merged; its own weights, bit for bit."""
  return net.unmerged


def base(params: Params) -> Params:
  """Returns params without adapters."""
  return {name: part for name, part in params.items() if name != ADAPTERS}


def _check_free(methods: Mapping[str, Method], name: str) -> None:
  if name in methods or not name or "/" in name:
    raise UserError(
      f"adapter {name!r}: the name is taken, empty or has a '/'; the network"
      f" has {sorted(methods)}."
    )


def _check_known(net: Adapted, names: Iterable[str]) -> None:
  for name in names:
    if name not in net.methods:
      raise UserError(
        f"there is no adapter {name!r}, only {sorted(net.methods)}."
        + did_you_mean(name, net.methods)
      )


def _as_lora(method: Method, name: str) -> LoRA:
  if not isinstance(method, LoRA):
    raise UserError(
      f"only LoRAs can be combined, {name!r} is a {type(method).__name__}."
    )
  return method


def _rows(name: str, fresh: Params) -> tuple[Row, ...]:
  return tuple(
    Row(
      f"params/{ADAPTERS}/{name}/{leaf}",
      None,
      "reinit",
      tuple(value.shape),
      None,
      "adapter",
    )
    for leaf, value in tree.flatten(fresh).items()
  )


def _difference(ours: Any, theirs: Any) -> float:
  worst = 0.0
  for x, y in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
    x, y = jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)
    largest = jnp.maximum(jnp.max(jnp.abs(y)), 1e-6)
    share = float(jnp.max(jnp.abs(x - y)) / largest)
    worst = share if share != share else max(worst, share)
    if worst != worst:
      break
  return worst
