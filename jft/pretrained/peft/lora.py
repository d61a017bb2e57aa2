"""LoRA, and DoRA, in peft's layout, there and back.

Source: peft 0.21, `LoraConfig`.
"""

import collections
import re

import numpy as np

from jft import tree as trees
from jft.errors import UserError
from jft.pretrained import layouts
from jft.pretrained.layouts import Entry
from jft.pretrained.peft import names
from jft.tuning.adapters import lora
from jft.tuning.adapters.dora import DoRA
from jft.tuning.adapters.lora import LoRA, Rank
from jft.typing import Any, Mapping, Params

_PARTS = re.compile(
  r"(.+)\.(lora_A|lora_B|lora_embedding_A|lora_embedding_B"
  r"|lora_magnitude_vector)(?:\.weight)?"
)
_LEAVES = {
  "lora_A": "lora_a",
  "lora_embedding_A": "lora_a",
  "lora_B": "lora_b",
  "lora_embedding_B": "lora_b",
  "lora_magnitude_vector": "lora_magnitude",
}
# What changes a LoRA's function, and must be as if it were not there.
_PLAIN = (
  "alora_invocation_tokens",
  "arrow_config",
  "kasa_config",
  "layer_replication",
  "lora_bias",
  "monteclora_config",
  "target_parameters",
  "trainable_token_indices",
  "use_bdlora",
  "use_qalora",
  "velora_config",
)


def owns(key: str) -> bool:
  """Is this an array of the adapter, rather than of the base?"""
  return _PARTS.fullmatch(key) is not None


def write(
  method: LoRA, tree: Params, table: Mapping[str, Entry]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
  """Returns what the adapter has in its config, and its arrays."""
  arrays: dict[str, np.ndarray] = {}
  ranks: dict[str, Rank] = {}
  fan_in = False
  for module, own in lora.modules(tree).items():
    leaf = "kernel" if f"params/{module}/kernel" in table else "embedding"
    entry = table[f"params/{module}/{leaf}"]
    theirs = names.module(entry)
    ranks[theirs] = _rank(method, f"{module}/{leaf}")
    fan_in |= leaf == "kernel" and entry.layout == "same"
    halves = _written(entry, leaf, {n: np.asarray(x) for n, x in own.items()})
    arrays |= {f"{names.ROOT}{theirs}.{name}": x for name, x in halves.items()}
  return _config(method, ranks, fan_in), arrays


def read(
  config: Mapping[str, Any],
  arrays: Mapping[str, np.ndarray],
  table: Mapping[str, Entry],
) -> tuple[LoRA, Params]:
  """Returns the adapter that a config and its arrays describe.

  Raises:
    UserError: for what jft's LoRA does not have.
  """
  _check(config)
  flat, rules = {}, {}
  for key in arrays:
    theirs, end = _split(key)
    name = names.place(f"{theirs}.weight", table)
    entry, kernel = names.whole(table[name]), name.removeprefix("params/")
    module, _, leaf = kernel.rpartition("/")
    part = _LEAVES[end]
    array = _read(entry, leaf, part, np.asarray(arrays[key]))
    flat[f"{module}/{part}"] = array
    if part == "lora_a":
      rank = Rank(array.shape[-1], _alpha(config, theirs))
      rules[re.escape(kernel)] = rank
  kind = DoRA if config.get("use_dora") else LoRA
  method = kind(
    tuple(rules.items()),
    float(config.get("lora_dropout") or 0),
    bool(config.get("use_rslora")),
  )
  return method, trees.unflatten(dict(sorted(flat.items())))


def _split(key: str) -> tuple[str, str]:
  """Returns the module in transformers, and which array of its adapter."""
  found = _PARTS.fullmatch(key.removeprefix(names.ROOT))
  if found is None:
    raise UserError(f"{key!r} is no array of a LoRA.")
  return found[1], found[2]


def _written(
  entry: Entry, leaf: str, own: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
  a, b = own["lora_a"], own["lora_b"]
  if leaf == "embedding":
    found = {"lora_embedding_A": a.T, "lora_embedding_B": b.T}
  elif entry.layout == "conv":
    found = {
      "lora_A.weight": layouts.to_source(entry, a),
      "lora_B.weight": b.T[:, :, None, None],
    }
  else:
    found = {"lora_A.weight": a.T, "lora_B.weight": b.T}
  if (length := own.get("lora_magnitude")) is not None:
    if entry.layout == "conv":
      length = length[None, :, None, None]
    found["lora_magnitude_vector"] = length
  return {name: np.ascontiguousarray(x) for name, x in found.items()}


def _read(entry: Entry, leaf: str, part: str, array: np.ndarray) -> np.ndarray:
  if part == "lora_magnitude":
    return array.reshape(-1)
  if leaf == "kernel" and entry.layout == "conv":
    if part == "lora_a":
      return layouts.to_jft(entry, array)
    return array.reshape(array.shape[:2]).T
  return array.T


def _config(
  method: LoRA, ranks: Mapping[str, Rank], fan_in: bool
) -> dict[str, Any]:
  (usual, _), *_ = collections.Counter(ranks.values()).most_common(1)
  return {
    "peft_type": "LORA",
    "r": usual.rank,
    "lora_alpha": usual.alpha,
    "lora_dropout": method.dropout,
    "target_modules": sorted(ranks),
    "rank_pattern": {
      re.escape(name): rank.rank
      for name, rank in ranks.items()
      if rank.rank != usual.rank
    },
    "alpha_pattern": {
      re.escape(name): rank.alpha
      for name, rank in ranks.items()
      if rank.alpha != usual.alpha
    },
    "use_rslora": method.rank_stabilized,
    "use_dora": isinstance(method, DoRA),
    "fan_in_fan_out": fan_in,
    "bias": "none",
    "init_lora_weights": True,
  }


def _rank(method: LoRA, name: str) -> Rank:
  for regex, rank in method.rules:
    if re.fullmatch(regex, name):
      return rank
  raise UserError(f"no rule of the adapter covers {name!r}.")


def _alpha(config: Mapping[str, Any], theirs: str) -> float:
  for pattern, alpha in (config.get("alpha_pattern") or {}).items():
    if re.fullmatch(rf"(.*\.)?({pattern})", theirs):
      return float(alpha)
  return float(config["lora_alpha"])


def _check(config: Mapping[str, Any]) -> None:
  if (bias := config.get("bias", "none")) != "none":
    raise UserError(f"the adapter has bias={bias!r}: jft reads bias='none'.")
  if given := [key for key in _PLAIN if config.get(key)]:
    raise UserError(
      f"the adapter has {given[0]}={config[given[0]]!r}, which jft's LoRA does"
      " not have."
    )
  init = config.get("init_lora_weights", True)
  if isinstance(init, str) and init not in ("gaussian", "orthogonal"):
    raise UserError(
      f"the adapter's init_lora_weights={init!r} changes the base's weights:"
      " save it as a LoRA (path_initial_model_for_weight_conversion)."
    )
