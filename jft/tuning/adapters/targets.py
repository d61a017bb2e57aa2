"""Which kernels an adapter is for: ordered rules over their names."""

import re

from jft import rules as rule_engine
from jft.errors import UserError
from jft.tuning.adapters.sites import Site, leaf_names
from jft.typing import Any, Mapping, Rules

ATTENTION = r"(.*/)?attention/(query|key|value|out)/kernel"
"""Every dense layer of every attention."""

DENSE = r"(?!head/)(.*/)?(?!head/)[^/]+/kernel"
"""Every kernel below the head."""


def chosen(
  rules: Rules, names: Mapping[str, Any], sites: Mapping[str, Site]
) -> dict[str, Any]:
  """Returns {module: value} of the kernels that rules give a value.

  Args:
    rules: ordered (regex over leaves' names, value); None is no adapter, as is
      a name that no rule covers.
    names: the leaves of the base.
    sites: of the network, see `probe`.

  Raises:
    UserError: for a rule that matches nothing, a leaf that belongs to no layer
      an adapter could be beside, or no adapter at all.
  """
  owners = leaf_names(sites)
  matched = rule_engine.match([*rules, (".*", None)], names)
  found = {name: value for name, value in matched.items() if value is not None}
  if not found:
    raise UserError("no rule gives a kernel an adapter; add one that does.")
  if strange := [name for name in found if name not in owners]:
    raise UserError(_no_layer(strange[0], sites))
  return {owners[name]: value for name, value in found.items()}


def _no_layer(name: str, sites: Mapping[str, Site]) -> str:
  block = re.match(r"((?:.*/)?block_\d+)/", name)
  if block and block[1] not in sites:
    return (
      f"{name!r}: the network runs its blocks as one loop, where each has no"
      " name of its own; load it with scan=False for adapters."
    )
  return (
    f"{name!r} is no kernel of a dense layer, a convolution or an embedding"
    " that the network calls; leave it out of the adapter's rules."
  )
