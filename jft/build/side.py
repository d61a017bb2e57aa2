"""Config -> an adapter that is no low-rank product."""

import types

from jft.errors import UserError
from jft.net import Net
from jft.tuning.adapters import bottleneck
from jft.tuning.adapters.ia3 import IA3
from jft.tuning.adapters.method import Method
from jft.tuning.adapters.prefix import Prefix
from jft.tuning.adapters.prompt import Prompt
from jft.tuning.adapters.vpt import VPT
from jft.typing import Any, Callable, Mapping

MAKERS: Mapping[str, Callable[[Any], Method]] = types.MappingProxyType(
  {
    "ia3": lambda c: IA3(),
    "houlsby": lambda c: bottleneck.houlsby(c.width),
    "parallel": lambda c: bottleneck.parallel(c.width, scale=c.scale),
    "prefix": lambda c: Prefix(c.tokens, c.projection),
    "prompt": lambda c: Prompt(c.tokens, random=c.start == "random"),
    "vpt": lambda c: VPT(c.tokens, c.deep, c.dropout),
  }
)
"""{name: section `adapter` of a config -> method}."""

# Settings of one kind of adapter alone, which another would not look at.
_OF: Mapping[str, tuple[str, ...]] = types.MappingProxyType(
  {
    "dropout": ("vpt",),
    "lora_plus_ratio": (),
    "rules": (),
    "targets": (),
    "width": ("houlsby", "parallel"),
    "scale": ("parallel",),
    "tokens": ("prefix", "prompt", "vpt"),
    "projection": ("prefix",),
    "start": ("prompt",),
    "deep": ("vpt",),
  }
)


def check_side(config: Any, usual: Any) -> None:
  """Raises UserError naming the first key that cannot be meant.

  Args:
    config: of the run.
    usual: the section `adapter` of the default one.
  """
  c = config.adapter
  for key, names in _OF.items():
    others = c.name in MAKERS and c.name not in names
    low_rank = c.name not in MAKERS and any(name in MAKERS for name in names)
    if c[key] != usual[key] and (others or (low_rank and key != "dropout")):
      raise UserError(
        f"adapter.{key}={c[key]!r} means nothing to adapter.name={c.name!r};"
        f" leave it at {usual[key]!r}."
      )
  for key in ("width", "tokens", "scale"):
    if not 0 < c[key] < 2**31:
      raise UserError(f"adapter.{key}={c[key]} must be above 0 and finite.")
  if c.projection < 0:
    raise UserError(f"adapter.projection={c.projection} must not be negative.")
  if c.start not in ("words", "random"):
    raise UserError(f"adapter.start={c.start!r}: choose words or random.")
  if c.name == "prompt" and config.data.packing:
    raise UserError(
      "adapter.name='prompt' stands before one text a row: set"
      " data.packing=False, or choose adapter.name='prefix'."
    )


def check_room(config: Any, plain: Net) -> None:
  """Raises UserError where the longest text leaves no room for the tokens.

  Args:
    config: of the run.
    plain: the network without the adapter.
  """
  longest = getattr(plain.spec.config, "max_tokens", None)
  learned, text = config.adapter.tokens, config.data.max_length
  if config.adapter.name not in ("prefix", "prompt") or longest is None:
    return
  if learned + text > longest:
    raise UserError(
      f"adapter.tokens={learned} and data.max_length={text} are more than the"
      f" {longest} positions of {plain.spec.config.title}; lower one of them."
    )
