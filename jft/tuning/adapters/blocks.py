"""Which modules of a network are its blocks and their branches."""

import re

from jft import rules as rule_engine
from jft.errors import UserError
from jft.tuning.adapters.sites import Site
from jft.typing import Any, Mapping, Rules

_BLOCK = re.compile(r"(.*/)?block_\d+")


def blocks(sites: Mapping[str, Site], method: str) -> list[str]:
  """Returns the names of a transformer's blocks, from the first to the last.

  Args:
    sites: of the network, see `probe`.
    method: whose blocks they are, for the error.

  Raises:
    UserError: for a network that has none.

  >>> blocks({"block_00": Site("Block", (1, 4, 8), None)}, "prefix tuning")
  ['block_00']
  """
  found = [
    name
    for name, site in sites.items()
    if _BLOCK.fullmatch(name) and site.inputs and len(site.inputs) == 3
  ]
  if found:
    return sorted(found)
  if "attention" in sites:
    raise UserError(
      f"{method}: the network runs its blocks as one loop, where each has no"
      " name of its own; load it with scan=False for adapters."
    )
  kind = sites[""].kind if "" in sites else "the network"
  raise UserError(
    f"{method} is for transformers, whose blocks pass tokens [b n d] on;"
    f" {kind} is none. Choose another adapter, such as lora."
  )


def branches(
  rules: Rules, sites: Mapping[str, Site], method: str
) -> dict[str, Any]:
  """Returns {module: value} of the modules that rules give a value.

  Args:
    rules: ordered (regex over modules' names, value); None is no adapter, as is
      a name that no rule covers.
    sites: of the network.
    method: whose rules they are, for the error.

  Raises:
    UserError: for a network without blocks, or a rule that matches nothing.
  """
  blocks(sites, method)
  names = [name for name in sites if name]
  matched = rule_engine.match([*rules, (".*", None)], names)
  return {name: value for name, value in matched.items() if value is not None}
