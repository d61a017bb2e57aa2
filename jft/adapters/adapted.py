"""A network and the adapters beside it."""

import dataclasses

from jft import loading, tree
from jft.errors import UserError, did_you_mean
from jft.net import Net
from jft.own import Own
from jft.pretrained.report import Report, Row
from jft.tuning import quantized
from jft.tuning.adapters.method import ADAPTERS, Method, wrap
from jft.tuning.adapters.sites import Site, probe
from jft.typing import Any, ApplyFn, Iterable, Key, Mapping, Params

_ROWS = f"params/{ADAPTERS}/"


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
    inputs = loading.input_shapes(net.spec, net.spec.config)
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
  if quantized.is_quantized(net.params):
    raise UserError(
      f"adapter {name!r}: the network is quantised; add it before, it starts"
      " from the kernels as loaded."
    )
  check_free(net.methods if isinstance(net, Adapted) else {}, name)
  fresh = method.init(base(net.params), key, at or sites(net))
  params = method.rebase(base(net.params), fresh)
  return beside(net, params, method, name, fresh, rows_of(name, fresh))


def switch(net: Adapted, *names: str) -> Adapted:
  """Returns the network running these adapters alone; none is the base.

  Raises:
    UserError: for a name that it does not have.
  """
  check_known(net, names)
  apply = wrap(net.inner, net.methods, names)
  return dataclasses.replace(net, apply=apply, active=names)


def bare(net: Adapted) -> Net:
  """Returns the network without its adapters."""
  rows = (r for r in net.report if not (r.name or "").startswith(_ROWS))
  return Net(
    net.inner,
    {**net.variables, "params": base(net.params)},
    net.spec,
    Report(tuple(rows)),
  )


def base(params: Params) -> Params:
  """Returns params without adapters."""
  return {name: part for name, part in params.items() if name != ADAPTERS}


def beside(
  net: Net,
  params: Params,
  method: Method,
  name: str,
  fresh: Params,
  rows: tuple[Row, ...],
) -> Adapted:
  """Returns the network with one more tree, which runs too."""
  inner, methods, active = net.apply, {}, ()
  if isinstance(net, Adapted):
    inner, methods, active = net.inner, dict(net.methods), net.active
  methods[name], active = method, (*active, name)
  trees = {**net.params.get(ADAPTERS, {}), name: fresh}
  return Adapted(
    wrap(inner, methods, active),
    {**net.variables, "params": {**params, ADAPTERS: trees}},
    net.spec,
    Report((*net.report.rows, *rows)),
    inner,
    methods,
    active,
  )


def rows_of(name: str, fresh: Params) -> tuple[Row, ...]:
  """Returns the report's rows of a fresh adapter."""
  return tuple(
    Row(
      f"{_ROWS}{name}/{leaf}",
      None,
      "reinit",
      tuple(value.shape),
      None,
      "adapter",
    )
    for leaf, value in tree.flatten(fresh).items()
  )


def check_free(methods: Mapping[str, Method], name: str) -> None:
  """Raises a UserError for a name that a new adapter cannot have."""
  if name in methods or not name or "/" in name:
    raise UserError(
      f"adapter {name!r}: the name is taken, empty or has a '/'; the network"
      f" has {sorted(methods)}."
    )


def check_known(net: Adapted, names: Iterable[str]) -> None:
  """Raises a UserError for a name that no adapter of the network has."""
  for name in names:
    if name not in net.methods:
      raise UserError(
        f"there is no adapter {name!r}, only {sorted(net.methods)}."
        + did_you_mean(name, net.methods)
      )
