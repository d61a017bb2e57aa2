"""peft's names of what it saves: those of the model in transformers."""

import numpy as np

from jft.errors import UserError, did_you_mean
from jft.pretrained import export
from jft.pretrained.layouts import Entry
from jft.typing import ArrayLike, Container, Mapping

ROOT = "base_model.model."
"""Before the names of a model whose modules peft has replaced."""
BESIDE = "base_model."
"""Before those of one that it has left as it was, and put vectors before."""

_HEADS = ("classifier", "score")


def saved(
  variables: Mapping[str, ArrayLike],
  trained: Container[str],
  table: Mapping[str, Entry],
) -> dict[str, np.ndarray]:
  """Returns {transformers' name: array} of the whole modules that were trained.

  Args:
    variables: {"params/...": array} of the base.
    trained: names of those that were trained.
    table: of the family, in transformers' names.

  Raises:
    UserError: for a trained parameter that is no module's weight or bias.
  """
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


def kept(parameter: str) -> str:
  """Returns the module that peft keeps whole for a parameter of transformers.

  A classifier is one, of however many layers: peft wraps it anyway.
  """
  first, _, _ = parameter.partition(".")
  return first if first in _HEADS else parameter.rpartition(".")[0]


def module(entry: Entry) -> str:
  """Returns the module in transformers that an adapter stands beside."""
  entry = whole(entry)
  if entry.view or not entry.source.endswith(".weight"):
    raise UserError(f"peft has no adapter beside {entry.source!r}.")
  return entry.source.removesuffix(".weight")


def whole(entry: Entry) -> Entry:
  """Returns the entry.

  Raises:
    UserError: if it is a part of a module, or has other rows than it.
  """
  if entry.part or entry.rotary:
    raise UserError(
      f"{entry.source!r} of transformers is several layers of jft, or has other"
      " rows: an adapter beside one of them has no place there. Leave these"
      " layers out of the adapter's rules, or merge it (--to=hf)."
    )
  return entry


def place(theirs: str, table: Mapping[str, Entry]) -> str:
  """Returns jft's name; what stands before a model's names may differ.

  Raises:
    UserError: if the model has no such name, or several.
  """
  sources = {entry.source: name for name, entry in table.items()}
  if theirs in sources:
    return sources[theirs]
  found = [
    ours
    for source, ours in sources.items()
    if source.endswith(f".{theirs}") or theirs.endswith(f".{source}")
  ]
  if len(found) == 1:
    return found[0]
  raise UserError(
    f"the adapter's {theirs!r} has {len(found)} places in this model."
    + did_you_mean(theirs, sources)
  )
