"""Adapters in the layout of Hugging Face's peft, there and back.

A folder of peft has `adapter_config.json` and `adapter_model.safetensors`. The
names in it are those of the model in transformers, so a family's own name table
says where each is; the arrays lie as the weights of that layer do.

Source: peft 0.21, `get_peft_model_state_dict`.
"""

import types
from typing import NamedTuple

import numpy as np

from jft.errors import UserError
from jft.pretrained import layouts
from jft.pretrained.layouts import Entry
from jft.pretrained.peft import ia3, lora, names, tokens
from jft.tuning.adapters.ia3 import IA3
from jft.tuning.adapters.lora import LoRA
from jft.tuning.adapters.method import Method
from jft.tuning.adapters.prefix import Prefix
from jft.tuning.adapters.prompt import Prompt
from jft.typing import Any, ArrayLike, Container, Mapping, Params

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
WRITTEN = (LoRA, IA3, Prefix, Prompt)
"""Methods that peft has too."""

_KINDS: Mapping[str, types.ModuleType] = types.MappingProxyType(
  {
    "LORA": lora,
    "IA3": ia3,
    "PREFIX_TUNING": tokens,
    "PROMPT_TUNING": tokens,
  }
)


class Adapter(NamedTuple):
  """What a folder of peft holds.

  Attributes:
    method: with a rule for every kernel, where it has rules.
    tree: of the adapter.
    saved: {"params/...": array} of the base's leaves that come with it.
  """

  method: Method
  tree: Params
  saved: dict[str, np.ndarray]


def to_peft(
  method: Method,
  tree: Params,
  variables: Mapping[str, ArrayLike],
  trained: Container[str],
  table: Mapping[str, Entry],
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
  """Returns (adapter_config.json, arrays) of an adapter and what goes with it.

  Args:
    method, tree: of the adapter; one of `WRITTEN`, a prefix unprojected.
    variables: {"params/...": array} of the base.
    trained: names of those that were trained too; their whole modules go along.
    table: of the family, in transformers' names.

  Raises:
    UserError: for what peft has no place for.
  """
  kind = {LoRA: lora, IA3: ia3}.get(_of(method), tokens)
  config, arrays = kind.write(method, tree, table)
  root = names.BESIDE if kind is tokens else names.ROOT
  saved = names.saved(variables, trained, table)
  modules = sorted({names.kept(name) for name in saved})
  config |= {"modules_to_save": modules or None, "inference_mode": True}
  return config, arrays | {f"{root}{name}": x for name, x in saved.items()}


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
    UserError: for an adapter that jft cannot run, or a tensor that has no place
      in the model.
  """
  kind = str(config.get("peft_type"))
  if kind not in _KINDS:
    raise UserError(
      f"an adapter of peft's type {kind!r}: jft reads {', '.join(_KINDS)}."
    )
  form = _KINDS[kind]
  own = {key: x for key, x in arrays.items() if form.owns(key)}
  method, tree = form.read(config, own, table)
  saved = {}
  for key in arrays:
    if key not in own:
      theirs = key.removeprefix(names.ROOT).removeprefix(names.BESIDE)
      name = names.place(theirs, table)
      entry = names.whole(table[name])
      saved[name] = layouts.to_jft(entry, np.asarray(arrays[key]))
  return Adapter(method, tree, saved)


def _of(method: Method) -> type[Method]:
  """Returns which of `WRITTEN` it is."""
  return next(kind for kind in WRITTEN if isinstance(method, kind))
