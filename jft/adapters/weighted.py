"""Several adapters of one network as one."""

import dataclasses

from jft.adapters.adapted import Adapted, check_free, check_known, rows_of
from jft.errors import UserError
from jft.pretrained.report import Report
from jft.tuning.adapters.combine import combine
from jft.tuning.adapters.lora import LoRA
from jft.tuning.adapters.method import ADAPTERS, Method, wrap
from jft.typing import Mapping


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
  check_free(net.methods, name)
  check_known(net, weights)
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
    report=Report((*net.report.rows, *rows_of(name, fresh))),
    methods=methods,
    active=(name,),
  )


def _as_lora(method: Method, name: str) -> LoRA:
  if not isinstance(method, LoRA):
    raise UserError(
      f"only LoRAs can be combined, {name!r} is a {type(method).__name__}."
    )
  return method
