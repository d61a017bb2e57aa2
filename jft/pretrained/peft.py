"""LoRA in the layout of Hugging Face's peft, there and back.

A folder of peft has `adapter_config.json` and `adapter_model.safetensors`. The
names in it are those of the model in transformers, so a family's own name table
says where each is; the arrays lie as the kernels of that layer do.

Source: peft 0.21, `LoraConfig` and `get_peft_model_state_dict`.
"""

import collections
import re
from typing import NamedTuple

import numpy as np

from jft import tree as trees
from jft.errors import UserError, did_you_mean
from jft.pretrained import export, layouts
from jft.pretrained.layouts import Entry
from jft.tuning.adapters import lora
from jft.tuning.adapters.dora import DoRA
from jft.tuning.adapters.lora import LoRA, Rank
from jft.typing import Any, ArrayLike, Container, Mapping, Params, Sequence

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

_ROOT = "base_model.model."
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


class Adapter(NamedTuple):
  """What a folder of peft holds.

  Attributes:
    method: with a rule for every kernel.
    tree: of the adapter.
    saved: {"params/...": array} of the base's leaves that come with it.
  """

  method: LoRA
  tree: Params
  saved: dict[str, np.ndarray]


def to_peft(
  method: LoRA,
  tree: Params,
  variables: Mapping[str, ArrayLike],
  trained: Container[str],
  table: Mapping[str, Entry],
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
  """Returns (adapter_config.json, arrays) of a LoRA and what goes with it.

  Args:
    method, tree: of the adapter.
    variables: {"params/...": array} of the base.
    trained: names of those that were trained too; their whole modules go along.
    table: of the family, in transformers' names.

  Raises:
    UserError: for what peft has no place for.
  """
  arrays: dict[str, np.ndarray] = {}
  ranks: dict[str, Rank] = {}
  fan_in = False
  for module, own in lora.modules(tree).items():
    leaf = "kernel" if f"params/{module}/kernel" in table else "embedding"
    entry = table[f"params/{module}/{leaf}"]
    theirs = _module(_whole(entry), entry.source)
    ranks[theirs] = _rank(method, f"{module}/{leaf}")
    fan_in |= leaf == "kernel" and entry.layout == "same"
    halves = _written(entry, leaf, {n: np.asarray(x) for n, x in own.items()})
    arrays |= {f"{_ROOT}{theirs}.{name}": x for name, x in halves.items()}
  saved = _saved(variables, trained, table)
  arrays |= {f"{_ROOT}{name}": x for name, x in saved.items()}
  modules = sorted({name.rpartition(".")[0] for name in saved})
  return _config(method, ranks, modules, fan_in), arrays


def from_peft(
  config: Mapping[str, Any],
  arrays: Mapping[str, np.ndarray],
  table: Mapping[str, Entry],
) -> Adapter:
  """Returns what a folder of peft holds, in jft's names and layouts.

  Args:
    config: its adapter_config.json; arrays: its tensors.
    table: of the family, in transformers' names.

  Raises:
    UserError: for an adapter that is no LoRA that jft can run, or a tensor that
      has no place in the model.
  """
  _check(config)
  sources = {entry.source: name for name, entry in table.items()}
  flat, saved, rules = {}, {}, {}
  for key in arrays:
    theirs = key.removeprefix(_ROOT)
    part = _PARTS.fullmatch(theirs)
    if part is None:
      name = _place(theirs, sources)
      saved[name] = layouts.to_jft(_whole(table[name]), np.asarray(arrays[key]))
      continue
    name = _place(f"{part[1]}.weight", sources)
    entry, kernel = _whole(table[name]), name.removeprefix("params/")
    module, _, leaf = kernel.rpartition("/")
    array = _read(entry, leaf, _LEAVES[part[2]], np.asarray(arrays[key]))
    flat[f"{module}/{_LEAVES[part[2]]}"] = array
    if _LEAVES[part[2]] == "lora_a":
      rank = Rank(array.shape[-1], _alpha(config, part[1]))
      rules[re.escape(kernel)] = rank
  kind = DoRA if config.get("use_dora") else LoRA
  method = kind(
    tuple(rules.items()),
    float(config.get("lora_dropout") or 0),
    bool(config.get("use_rslora")),
  )
  return Adapter(method, trees.unflatten(dict(sorted(flat.items()))), saved)


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


def _saved(
  variables: Mapping[str, ArrayLike],
  trained: Container[str],
  table: Mapping[str, Entry],
) -> dict[str, np.ndarray]:
  wanted = set()
  for name in variables:
    if name not in trained:
      continue
    source = table[name].source
    if source.rpartition(".")[2] not in ("weight", "bias"):
      raise UserError(
        f"{name!r} was trained, and peft saves whole modules: {source!r} is a"
        " parameter of its own. --to=hf or --to=safetensors keeps it."
      )
    wanted.add(source.rpartition(".")[0])
  whole = {
    name: x
    for name, x in variables.items()
    if name in table and table[name].source.rpartition(".")[0] in wanted
  }
  return export.to_source(whole, table)


def _config(
  method: LoRA, ranks: Mapping[str, Rank], saved: Sequence[str], fan_in: bool
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
    "modules_to_save": list(saved) or None,
    "use_rslora": method.rank_stabilized,
    "use_dora": isinstance(method, DoRA),
    "fan_in_fan_out": fan_in,
    "bias": "none",
    "init_lora_weights": True,
    "inference_mode": True,
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


def _module(entry: Entry, source: str) -> str:
  if entry.view or not source.endswith(".weight"):
    raise UserError(f"peft has no adapter beside {source!r}.")
  return source.removesuffix(".weight")


def _whole(entry: Entry) -> Entry:
  if entry.part or entry.rotary:
    raise UserError(
      f"{entry.source!r} of transformers is several layers of jft, or has other"
      " rows: an adapter beside one of them has no place there. Leave these"
      " layers out of the adapter's rules, or merge it (--to=hf)."
    )
  return entry


def _place(theirs: str, sources: Mapping[str, str]) -> str:
  """Returns jft's name; what stands before a model's names may differ."""
  found = [
    ours
    for source, ours in sources.items()
    if source == theirs
    or source.endswith(f".{theirs}")
    or theirs.endswith(f".{source}")
  ]
  if theirs in sources:
    return sources[theirs]
  if len(found) == 1:
    return found[0]
  raise UserError(
    f"the adapter's {theirs!r} has {len(found)} places in this model."
    + did_you_mean(theirs, sources)
  )


def _check(config: Mapping[str, Any]) -> None:
  if (kind := config.get("peft_type")) != "LORA":
    raise UserError(f"an adapter of peft's type {kind!r}: jft reads 'LORA'.")
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
