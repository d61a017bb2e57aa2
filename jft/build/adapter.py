"""Config -> the adapter beside the network, if there is one."""

import functools
import types

from jft import adapters, rng
from jft.build import side
from jft.net import Net
from jft.tuning.adapters import targets
from jft.tuning.adapters.dora import DoRA
from jft.tuning.adapters.lora import LoRA, Rank
from jft.tuning.adapters.method import Method
from jft.tuning.adapters.pissa import PiSSA
from jft.tuning.adapters.sites import Site
from jft.typing import Any, Callable, Mapping, Rules


def with_adapter(config: Any, network: Net, plain: Net) -> Net:
  """Returns the network with the config's adapter, or as it is.

  Args:
    config: of the run.
    network: as the task calls it.
    plain: the same as its family calls it.

  Raises:
    UserError: if the adapter does not fit it.
  """
  if not config.adapter.name:
    return network
  side.check_room(config, plain)
  sites = adapters.sites(plain)
  method = make_method(config.adapter, sites)
  key = rng.key(config.seed, "adapter")
  return adapters.add(network, method, key=key, at=sites)


def make_method(c: Any, sites: Mapping[str, Site]) -> Method:
  """Returns the method that a config names.

  Args:
    c: its section `adapter`.
    sites: of the network.
  """
  if c.name in side.MAKERS:
    return side.MAKERS[c.name](c)
  return _MAKERS[c.name](_rules(c, sites), dropout=c.dropout)


def _rules(c: Any, sites: Mapping[str, Site]) -> Rules:
  if c.targets:
    return [(targets.PRESETS[c.targets](sites), Rank(c.rank, c.alpha))]
  return [
    (regex, Rank(rank, *(more or (c.alpha,))) if rank else None)
    for regex, rank, *more in c.rules
  ]


_MAKERS: Mapping[str, Callable[..., Method]] = types.MappingProxyType(
  {
    "lora": LoRA,
    "rslora": functools.partial(LoRA, rank_stabilized=True),
    "dora": DoRA,
    "pissa": PiSSA,
  }
)
NAMES = (*_MAKERS, *side.MAKERS)
