"""Which tensor goes where when weights are loaded, and what is left over."""

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jft.errors import UserError, near_misses
from jft.pretrained import layouts
from jft.pretrained.formats.lazy import shape_of
from jft.pretrained.layouts import Entry
from jft.pretrained.report import Row
from jft.typing import Rules

MAX_LISTED = 8  # on either side


@dataclass(frozen=True)
class Problem:
  """What is wrong, and the names among which the right one may be."""

  text: str
  name: str = ""
  known: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
  """Both sides of a load and the table between them; nothing is read yet."""

  target: Mapping[str, jax.ShapeDtypeStruct]
  source: Mapping[str, np.ndarray]
  table: Mapping[str, Entry]
  head: str
  resize: Mapping[str, Any]

  @functools.cached_property
  def claimed(self) -> frozenset[str]:
    """The source's names that some variable takes."""
    return frozenset(
      entry.source for name, entry in self.table.items() if name in self.target
    )

  @functools.cached_property
  def unclaimed(self) -> tuple[str, ...]:
    """The source's names that no variable takes."""
    return tuple(name for name in self.source if name not in self.claimed)

  def is_head(self, name: str) -> bool:
    """Whether a variable belongs to the classifier."""
    return re.fullmatch(self.head, name) is not None

  def resizer(self, name: str) -> Any:
    """The function that fits a variable of another shape, if a rule has one."""
    rule = _first(self.resize.items(), name)
    return rule[1] if rule else None

  def found(self, name: str) -> str | None:
    """The source's name for a variable, None if it is not in the source."""
    entry = self.table.get(name)
    return entry.source if entry and entry.source in self.source else None

  def shape(self, name: str) -> tuple[int, ...]:
    """The shape a variable's tensor has once laid out, without reading it."""
    entry = self.table[name]
    # One value stretched to the shape takes no memory, and transposes alike.
    stand_in = np.broadcast_to(np.int8(0), shape_of(self.source, entry.source))
    return layouts.to_jft(entry, stand_in).shape


def unplaced(plan: Plan) -> list[Problem]:
  """Entries for variables that this model does not have, except its head."""
  return [
    Problem(
      f"{name}: in the name table, but the model has no such variable",
      name,
      tuple(plan.target),
    )
    for name in plan.table
    if name not in plan.target and not plan.is_head(name)
  ]


def problem_of(plan: Plan, name: str) -> Problem | None:
  """Says why a leaf cannot be loaded, None if it can."""
  want = tuple(plan.target[name].shape)
  if name not in plan.table:
    text = f"{name} {want}: not in the name table"
    return Problem(text, name, tuple(plan.table))
  entry = plan.table[name]
  if entry.source not in plan.source:
    text = f"{name} {want}: the source has no {entry.source!r}"
    return Problem(text, entry.source, plan.unclaimed)
  try:
    got = plan.shape(name)
  except UserError as error:
    return Problem(f"{name} {want}: {error}")
  if got != want and plan.resizer(name) is None:
    return Problem(
      f"{name}: got shape {got} from {entry.source!r}, expected {want}"
    )
  return None


def leftovers(plan: Plan, dropped: Rules) -> tuple[list[Row], list[Problem]]:
  """Rows and problems for the source's tensors that no variable takes."""
  entries = plan.table.items()
  headless = {entry.source for name, entry in entries if plan.is_head(name)}
  waiting = tuple(e.source for _, e in entries if e.source not in plan.source)
  rows, problems = [], []
  for name in plan.unclaimed:
    rule = _first(dropped, name)
    reason = rule[1] if rule else None
    if reason is None and name in headless:
      reason = "the model was asked for without a head"
    shape = shape_of(plan.source, name)
    if reason is None:
      text = f"source {name!r} {shape}: no variable takes it, no rule drops it"
      problems.append(Problem(text, name, waiting))
    else:
      rows.append(Row(None, name, "dropped", None, shape, str(reason)))
  return rows, problems


def _first(table: Iterable[tuple[str, Any]], name: str) -> Any:
  return next((rule for rule in table if re.fullmatch(rule[0], name)), None)


def message(
  problems: list[Problem], unused: list[Problem], leaves: int, tensors: int
) -> str:
  """Returns the error that lists what is unexplained on either side."""
  lines = []
  for side in (problems, unused):
    for row in side[:MAX_LISTED]:  # difflib is slow, so only for these
      near = near_misses(row.name, row.known) if row.name else []
      hint = f" (near: {', '.join(near)})" if near else ""
      lines.append(f"  {row.text}{hint}")
    if len(side) > MAX_LISTED:
      lines.append(f"  … and {len(side) - MAX_LISTED} more")
  return "\n".join(
    (
      f"the weights do not fit the model ({leaves} variables, {tensors} source"
      f" tensors); unexplained: {len(problems) + len(unused)}",
      *lines,
      "Is it the right preset? What shall start anew needs a reinit rule.",
    )
  )
