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
from jft.errors import UserError
from jft.typing import Mapping, Params, Rules

FREEZE = "freeze"
HEAD = "head"
BACKBONE = "backbone"
ADAPTER = "adapter"
ADAPTER_B = "adapter_b"

# By convention these come before the blocks; all that is neither below, a
# block nor the head comes after the blocks (a final norm, a pooler).
_BELOW = re.compile(r"(.*/)?(stem|embeddings)/.*")
_BLOCK = re.compile(r"((?:.*/)?block_\d+)/.*")


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
  names = list(tree.flatten(params))
  blocks = sorted({m[1] for name in names if (m := _BLOCK.fullmatch(name))})
  if not 0 <= n <= len(blocks):
    raise UserError(
      f"top_blocks(n={n}): the model has {len(blocks)} blocks"
      f" ({', '.join(blocks[:2])}, ...); choose 0 to {len(blocks)}."
    )
  top = [re.escape(block) for block in blocks[len(blocks) - n :]]
  above = sorted(
    {
      re.escape(name.split("/")[0])
      for name in names
      if not (
        _BLOCK.fullmatch(name)
        or _BELOW.fullmatch(name)
        or name.startswith("head/")
      )
    }
  )
  rules = [
    (f"({'|'.join(part)})/.*", BACKBONE) for part in (top, above) if part
  ]
  return [*_head(params), *rules, (".*", FREEZE)]


def norm_only(params: Params) -> Rules:
  """Trains the head and every normalisation's scale and bias.

  Source: Frankle et al., 2021, "Training BatchNorm and Only BatchNorm"
  (arXiv:2003.00152).
  """
  norms = r"(.*/)?[^/]*norm[^/]*/(scale|bias)"
  return [*_head(params), (norms, BACKBONE), (".*", FREEZE)]


def bias_only(params: Params) -> Rules:
  """Trains the head and every bias (BitFit).

  Source: Ben Zaken et al., 2022, "BitFit" (arXiv:2106.10199).
  """
  return [*_head(params), (r"(.*/)?bias", BACKBONE), (".*", FREEZE)]


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
  total = tree.count(params)
  rows = []
  for value in sorted(set(named.values()), key=lambda v: (v == FREEZE, v)):
    part = tree.unflatten({n: x for n, x in flat.items() if named[n] == value})
    transform = (transforms or {}).get(value)
    state = jax.eval_shape(transform.init, part) if transform else ()
    size = tree.count(part)
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


def _head(params: Params, required: bool = False) -> Rules:
  if "head" in params:
    return [("head/.*", HEAD)]
  if required:
    raise UserError(
      'linear_probe: the model has no "head"; load it with num_classes=...'
    )
  return []
