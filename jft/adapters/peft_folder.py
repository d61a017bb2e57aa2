"""Adapters that Hugging Face's peft has saved."""

import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp

from jft import families, tree
from jft.adapters.adapted import (
  Adapted,
  base,
  beside,
  check_free,
  rows_of,
  sites,
)
from jft.errors import UserError
from jft.net import Net
from jft.pretrained import formats, peft
from jft.pretrained.layouts import Entry
from jft.spec import Spec
from jft.tuning.adapters.lora import LoRA
from jft.tuning.adapters.method import Method
from jft.typing import Mapping, Params


def load_peft(
  net: Net, folder: str | pathlib.Path, name: str = "default"
) -> Adapted:
  """Returns the network with an adapter that Hugging Face's peft has saved.

  LoRA with its kin, (IA)³, prefix and prompt tuning.

  What peft calls `modules_to_save`, such as a head, takes the place of the
  network's own.

  Args:
    net: the base that it was trained beside, with a head of that size.
    folder: with adapter_config.json and adapter_model.safetensors.
    name: of the adapter.

  Raises:
    UserError: if jft has no such adapter, or it is not one of this network.
  """
  check_free(net.methods if isinstance(net, Adapted) else {}, name)
  found = _read(net, pathlib.Path(folder))
  at = sites(net)
  own = base(net.params)
  made = jax.eval_shape(
    lambda params: found.method.init(params, jax.random.key(0), at), own
  )
  _check_shapes(made, found.tree)
  params = tree.flatten(own)
  for leaf, value in found.saved.items():
    known = params.get(leaf.removeprefix("params/"))
    if known is None or known.shape != value.shape:
      raise UserError(
        f"the adapter brings {leaf} {list(value.shape)}, the network has"
        f" {'none' if known is None else list(known.shape)}; give"
        " load_pretrained the num_classes of the adapter's head."
      )
    params[leaf.removeprefix("params/")] = jnp.asarray(value, known.dtype)
  fresh = jax.tree.map(jnp.asarray, found.tree)
  rows = tuple(
    dataclasses.replace(row, status="loaded", source=str(folder), reason="")
    for row in rows_of(name, fresh)
  )
  return beside(net, tree.unflatten(params), found.method, name, fresh, rows)


def table(spec: Spec) -> Mapping[str, Entry]:
  """Returns {"params/...": its place in transformers}, for peft's names.

  Raises:
    UserError: if transformers has no such family.
  """
  family = families.FAMILIES[spec.family]
  for dialect in family.dialects:
    if dialect.name.startswith("hf"):
      return dialect.table(spec.config, {})
  raise UserError(f"transformers has no {spec.family} that jft knows.")


def check_words(spec: Spec, method: Method, adapter: Params) -> None:
  """Checks that peft's LoRA of the words is jft's.

  Beside a tied embedding jft's is in the scores of the words too, as it is
  once it is merged; peft's is not.

  Raises:
    UserError: if not.
  """
  if not isinstance(method, LoRA):
    return
  scores = getattr(spec.config, "task", "") in ("lm", "mlm")
  if scores and getattr(spec.config, "tied", True) and "embeddings" in adapter:
    raise UserError(
      "an adapter beside the words' embedding, which also scores the words,"
      " changes those scores in jft and not in peft; leave it out."
    )


def _read(net: Net, folder: pathlib.Path) -> peft.Adapter:
  for file in (peft.CONFIG, peft.WEIGHTS):
    if not (folder / file).is_file():
      raise UserError(f"{folder} has no {file}: it is no adapter of peft's.")
  config = json.loads((folder / peft.CONFIG).read_text(encoding="utf-8"))
  arrays = formats.read(folder / peft.WEIGHTS)
  found = peft.from_peft(config, arrays, table(net.spec))
  check_words(net.spec, found.method, found.tree)
  return found


def _check_shapes(made: Params, tree_of: Params) -> None:
  want, got = tree.flatten(made), tree.flatten(tree_of)
  for name in want.keys() | got.keys():
    if name not in got or name not in want:
      where = (
        "is missing" if name in want else "is not of an adapter of this kind"
      )
      raise UserError(f"the adapter's {name} {where}.")
    if want[name].shape != got[name].shape:
      raise UserError(
        f"the adapter's {name} is {list(got[name].shape)}, beside this network"
        f" it would be {list(want[name].shape)}."
      )
