"""Freezing: rules over names become labels; the label "freeze" is not trained.

A preset is a function from params to rules, so that what it means for this
model can be printed, edited and passed back in.
"""

import dataclasses
import re

import jax
import optax

from jft import rules as rule_engine
from jft import tree
from jft.errors import UserError, did_you_mean
from jft.tuning import depth, quantized
from jft.typing import Iterable, Mapping, Params, Rules

FREEZE = "freeze"
HEAD = "head"
BACKBONE = "backbone"
ADAPTER = "adapter"
ADAPTER_B = "adapter_b"


def label(params: Params, rules: Rules) -> Params:
  """Returns a tree of labels shaped like `params`.

  Args:
    params: nested dict of arrays (or of shapes).
    rules: ordered (regex, label); full match, the first match wins.

  Raises:
    UserError: for an idle rule, an uncovered name, or nothing left to train.

  >>> label({"stem": {"bias": 0}, "head": {"bias": 0}},
  ...       [("head/.*", "head"), (".*", "freeze")])
  {'head': {'bias': 'head'}, 'stem': {'bias': 'freeze'}}
  """
  labels = rule_engine.match(rules, tree.flatten(params))
  if all(value == FREEZE for value in labels.values()):
    raise UserError(
      f'every one of the {len(labels)} leaves is labelled "{FREEZE}", nothing'
      " would be trained; give at least one leaf another label."
    )
  return tree.unflatten(labels)


def full(params: Params) -> Rules:
  """Trains everything: the head and the backbone under their own labels."""
  return [*_head(params), (".*", BACKBONE)]


def linear_probe(params: Params) -> Rules:
  """Trains the head alone."""
  return [*_head(params, required=True), (".*", FREEZE)]


def adapter(params: Params, *, head: bool = True, apart: bool = False) -> Rules:
  """Trains the adapters and the head.

  Args:
    params: with adapters.
    head: False leaves a head frozen too.
    apart: give the second halves of LoRA a label of their own.
  """
  second = [("adapters/.*/lora_b", ADAPTER_B)] if apart else []
  rules = [*second, ("adapters/.*", ADAPTER), (".*", FREEZE)]
  return [*_head(params), *rules] if head else rules


def top_blocks(params: Params, n: int) -> Rules:
  """Trains the head, the last `n` blocks and what lies above the blocks.

  Args:
    params: a model whose blocks are named `block_00`, `block_01`, ...
    n: how many blocks, 0 to all of them.

  Raises:
    UserError: if the model has fewer blocks.
  """
  blocks = depth.blocks(tree.flatten(params))
  if not 0 <= n <= len(blocks):
    raise UserError(
      f"top_blocks(n={n}): the model has {len(blocks)} blocks"
      f" ({', '.join(blocks[:2])}, ...); choose 0 to {len(blocks)}."
    )
  return _parts(params, {*blocks[len(blocks) - n :], depth.ABOVE})


def chosen_parts(params: Params, chosen: Iterable[str]) -> Rules:
  """Trains the head and these parts of the network.

  Args:
    params: nested dict of arrays (or of shapes).
    chosen: names of blocks, "below" or "above" (see `jft.tuning.depth`).

  Raises:
    UserError: if the model has no such part.

  >>> chosen_parts({"stem": {"bias": 0}, "block_00": {"bias": 0}}, ["below"])
  [('(stem)/[^/]+', 'backbone'), ('.*', 'freeze')]
  """
  parts = {depth.part(name) for name in tree.flatten(params)} - {depth.HEAD}
  chosen = set(chosen)
  if unknown := sorted(chosen - parts):
    raise UserError(
      f"the model has no part {unknown[0]!r}; it has"
      f" {', '.join(sorted(parts))}." + did_you_mean(unknown[0], parts)
    )
  return _parts(params, chosen)


def norm_only(params: Params) -> Rules:
  """Trains the head and every normalisation's scale and bias.

  Raises:
    UserError: if there is no normalisation.

  Source: Frankle et al., 2021, "Training BatchNorm and Only BatchNorm"
  (arXiv:2003.00152).
  """
  norms = r"(.*/)?[^/]*norm[^/]*/(scale|bias)"
  return _all_named("norm_only", "normalisation", norms, params)


def bias_only(params: Params) -> Rules:
  """Trains the head and every bias (BitFit).

  Raises:
    UserError: if there is none, as in a Llama.

  Source: Ben Zaken et al., 2022, "BitFit" (arXiv:2106.10199).
  """
  return _all_named("bias_only", "bias", r"(.*/)?bias", params)


def is_trained(labels: Params, active: frozenset[str] | None = None):
  """Returns name -> bool: is this leaf trained (under these active labels)?"""
  flat = tree.flatten(labels)

  def trained(name: str) -> bool:
    value = flat[name]
    return value != FREEZE and (active is None or value in active)

  return trained


@dataclasses.dataclass(frozen=True)
class Row:
  """One label: leaves, parameters, optimizer bytes, percent of parameters."""

  label: str
  leaves: int
  params: int
  optimizer_bytes: int
  percent: float


def table(
  params: Params,
  labels: Params,
  transforms: Mapping[str, optax.GradientTransformation] | None = None,
) -> list[Row]:
  """Returns a row per label, the trained ones first, "freeze" last.

  Args:
    params: nested dict of arrays or shapes.
    labels: its labels, as `label` returns.
    transforms: {label: optimizer}; gives the optimizer's bytes (else 0).
  """
  flat, named = tree.flatten(params), tree.flatten(labels)
  total = quantized.count(params)
  rows = []
  for value in sorted(set(named.values()), key=lambda v: (v == FREEZE, v)):
    part = tree.unflatten({n: x for n, x in flat.items() if named[n] == value})
    transform = (transforms or {}).get(value)
    state = jax.eval_shape(transform.init, part) if transform else ()
    size = quantized.count(part)
    rows.append(
      Row(
        value,
        len(jax.tree.leaves(part)),
        size,
        tree.nbytes(state),
        100 * size / total,
      )
    )
  return rows


def format_table(rows: list[Row]) -> str:
  """Renders `table` as text, with the trainable percentage below.

  >>> print(format_table([Row("head", 2, 10, 80, 25.0),
  ...                     Row("freeze", 4, 30, 0, 75.0)]))
  label     leaves      params  optimizer bytes  percent
  head           2          10               80    25.00
  freeze         4          30                0    75.00
  trainable: 10 of 40 parameters (25.00 %)
  """
  lines = ["label     leaves      params  optimizer bytes  percent"]
  lines += [
    f"{r.label:<9} {r.leaves:>6} {r.params:>11,} {r.optimizer_bytes:>16,}"
    f" {r.percent:>8.2f}"
    for r in rows
  ]
  total = sum(r.params for r in rows)
  trained = sum(r.params for r in rows if r.label != FREEZE)
  share = 100 * trained / total
  lines.append(
    f"trainable: {trained:,} of {total:,} parameters ({share:.2f} %)"
  )
  return "\n".join(lines)


def _all_named(preset: str, what: str, pattern: str, params: Params) -> Rules:
  names = [n for n in tree.flatten(params) if not n.startswith("head/")]
  if not any(re.fullmatch(pattern, name) for name in names):
    raise UserError(
      f"{preset}: the model has no {what} outside its head, so only the head"
      " would be trained: that is linear_probe."
    )
  return [*_head(params), (pattern, BACKBONE), (".*", FREEZE)]


def _parts(params: Params, chosen: set[str]) -> Rules:
  """Rules by the modules that own the leaves, so that parts may be nested."""
  owners: dict[str, set[str]] = {}
  for name in tree.flatten(params):
    if (part := depth.part(name)) in chosen:
      owners.setdefault(part, set()).add(name.rpartition("/")[0])
  blocks = [re.escape(block) for block in depth.blocks(f"{c}/" for c in chosen)]
  rules = [(f"({'|'.join(blocks)})/.*", BACKBONE)] if blocks else []
  for part in (depth.BELOW, depth.ABOVE):
    if modules := sorted(map(re.escape, owners.get(part, ()))):
      rules.append((f"({'|'.join(modules)})/[^/]+", BACKBONE))
  return [*_head(params), *rules, (".*", FREEZE)]


def _head(params: Params, required: bool = False) -> Rules:
  if "head" in params:
    return [("head/.*", HEAD)]
  if required:
    raise UserError(
      'linear_probe: the model has no "head"; load it with num_classes=...'
    )
  return []
