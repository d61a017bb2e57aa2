"""(IA)³ in peft's layout, there and back.

Source: peft 0.21, `IA3Config`, whose vectors are `ia3_l`.
"""

import re

import numpy as np

from jft import tree as trees
from jft.pretrained.layouts import Entry
from jft.pretrained.peft import names
from jft.tuning.adapters.ia3 import IA3, INPUT, OUTPUT
from jft.typing import Any, Mapping, Params

_END = ".ia3_l"


def owns(key: str) -> bool:
  """Is this an array of the adapter, rather than of the base?"""
  return key.endswith(_END)


def write(
  method: IA3, tree: Params, table: Mapping[str, Entry]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
  """Returns what the adapter has in its config, and its arrays."""
  arrays, sides = {}, {}
  fan_in = False
  for name, scale in trees.flatten(tree).items():
    module, side, _ = name.rsplit("/", 2)
    entry = table[f"params/{module}/kernel"]
    theirs = names.module(entry)
    sides[theirs] = side
    fan_in |= entry.layout == "same"
    shape = {
      "conv": (1, -1, 1, 1),
      OUTPUT: (-1, 1),
      INPUT: (1, -1),
    }["conv" if entry.layout == "conv" else side]
    arrays[f"{names.ROOT}{theirs}{_END}"] = np.asarray(scale).reshape(shape)
  config = {
    "peft_type": "IA3",
    "target_modules": sorted(sides),
    "feedforward_modules": sorted(n for n, s in sides.items() if s == INPUT),
    "fan_in_fan_out": fan_in,
    "init_ia3_weights": True,
  }
  return config, arrays


def read(
  config: Mapping[str, Any],
  arrays: Mapping[str, np.ndarray],
  table: Mapping[str, Entry],
) -> tuple[IA3, Params]:
  """Returns the adapter that a config and its arrays describe."""
  inner = config.get("feedforward_modules") or []
  flat, rules = {}, {}
  for key, array in arrays.items():
    theirs = key.removeprefix(names.ROOT).removesuffix(_END)
    kernel = names.place(f"{theirs}.weight", table)
    names.whole(table[kernel])
    side = INPUT if _is_one_of(theirs, inner) else OUTPUT
    kernel = kernel.removeprefix("params/")
    rules[re.escape(kernel)] = side
    flat[f"{kernel.rpartition('/')[0]}/{side}/scale"] = array.reshape(-1)
  return IA3(tuple(rules.items())), trees.unflatten(dict(sorted(flat.items())))


def _is_one_of(module: str, chosen: Any) -> bool:
  """Is it one of the modules that peft's list, or regex, means?"""
  if isinstance(chosen, str):
    return re.fullmatch(chosen, module) is not None
  return any(module == end or module.endswith(f".{end}") for end in chosen)
