"""Which kernels an adapter is for: ordered rules over their names."""

import re
import types

from jft import rules as rule_engine
from jft.errors import UserError
from jft.tuning.adapters.sites import Site, leaf_names
from jft.typing import Any, Callable, Iterable, Mapping, Rules

_ATTENTION = ("query", "key", "value", "out")


def attention(sites: Mapping[str, Site]) -> str:
  """Returns the regex of every dense layer of every attention.

  >>> attention({"block_00/attention/key": Site("Dense", (1, 2), (1, 3),
  ...                                           "kernel")})
  '(block_00/attention/key)/kernel'
  """
  return _any(
    name
    for name, site in sites.items()
    if _is_dense(site)
    and name.split("/")[-2:-1] == ["attention"]
    and name.split("/")[-1] in _ATTENTION
  )


def dense(sites: Mapping[str, Site]) -> str:
  """Returns the regex of every dense layer but the head's."""
  return _any(name for name, site in _body(sites) if _is_dense(site))


def everything(sites: Mapping[str, Site]) -> str:
  """Returns the regex of dense layers and convolutions that are whole."""
  return _any(
    name
    for name, site in _body(sites)
    if site.leaf == "kernel" and site.groups == 1
  )


PRESETS: Mapping[str, Callable[[Mapping[str, Site]], str]] = (
  types.MappingProxyType(
    {"attention": attention, "dense": dense, "all": everything}
  )
)


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


def _body(sites: Mapping[str, Site]) -> list[tuple[str, Site]]:
  return [
    (name, site) for name, site in sites.items() if name.split("/")[0] != "head"
  ]


def _is_dense(site: Site) -> bool:
  return site.leaf == "kernel" and site.kind.startswith("Dense")


def _any(names: Iterable[str]) -> str:
  found = sorted(names)
  if not found:
    raise UserError(
      "the network has no such layers for an adapter; choose other"
      f" adapter.targets ({', '.join(PRESETS)}), or say them by adapter.rules."
    )
  return f"({'|'.join(re.escape(name) for name in found)})/kernel"
