"""Foreign weights into jft's variables, with every leaf accounted for.

On the target's side a leaf is loaded, resized or, only if asked, reinit; on the
source's side a tensor is used or dropped by a rule with a reason. Whatever is
left over on either side is an error, never a silent half-load.

Each leaf is read, laid out, checked and placed before its thread reads another,
so that no more than one a thread lies in the host's memory twice.
"""

import functools
import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

from jft import rules
from jft.errors import UserError
from jft.pretrained import blocks, layouts, values
from jft.pretrained.accounting import (
  Plan,
  leftovers,
  message,
  problem_of,
  unplaced,
)
from jft.pretrained.formats.lazy import shape_of
from jft.pretrained.layouts import Entry
from jft.pretrained.report import Report, Row
from jft.typing import ArrayLike, Callable, Rules

Place = Callable[[str, ArrayLike], ArrayLike]

# Reading, transposing and checking let go of Python's lock.
THREADS = min(4, os.cpu_count() or 1)

HEAD = r"(\w+/)?head/.*"  # the classifier, not a block of that name deeper in


def adapt(
  target: Mapping[str, jax.ShapeDtypeStruct],
  source: Mapping[str, np.ndarray],
  table: Mapping[str, Entry],
  dropped: Rules,
  *,
  initial: Mapping[str, ArrayLike],
  reinit: Sequence[str] = (),
  num_classes: int | None = None,
  resize: Rules = (),
  head: str = HEAD,
  place: Place = lambda name, array: array,
) -> tuple[dict[str, ArrayLike], Report]:
  """Returns the target's variables, filled from the source.

  Args:
    target: {name: shape and dtype} of every variable.
    source: {foreign name: array}, read by several threads.
    table: {name: where it is in the source and in which layout}.
    dropped: (regex over the source's names, reason) of tensors that are never
      needed; a rule may match nothing.
    initial: freshly initialised values, for the leaves that are not loaded.
    reinit: regexes over the target's names to leave initialised even if the
      source has them; each must match.
    num_classes: if given, the head is reinit as a whole where the source's does
      not fit or does not exist; if None a head must load like any other leaf.
    resize: (regex over the target's names, fn(array, shape) -> array) for
      leaves such as position embeddings whose shape may differ.
    head: which of the target's names are the head.
    place: (name, array of the host) -> where it is to live, such as an array on
      the devices; the default leaves it as it is. Called with the largest
      leaves first: they take most room beside themselves.

  Returns:
    ({name: array of the target's shape and dtype} in the target's order, what
    became of every tensor).

  Raises:
    UserError: listing each leaf and each source tensor that is unexplained,
      each shape that differs, or the first leaf with NaN or infinite values.
  """
  plan = Plan(dict(target), source, table, head, dict(resize))
  asked = _asked(plan, reinit)
  fresh = asked | _fresh_head(plan, num_classes, asked)
  dropped_rows = account(plan, fresh, dropped)
  made: dict[str, tuple[ArrayLike, Row]] = {}
  with ThreadPoolExecutor(THREADS) as pool:
    fill = functools.partial(_fill, plan, fresh, initial, place)
    for part in pool.map(fill, _turns(plan)):
      made |= part
  out = {name: made[name][0] for name in target}
  return out, Report((*(made[name][1] for name in target), *dropped_rows))


def _fill(
  plan: Plan,
  fresh: Mapping[str, str],
  initial: Mapping[str, ArrayLike],
  place: Place,
  names: Sequence[str],
) -> dict[str, tuple[ArrayLike, Row]]:
  """Loads leaves of one tensor, or draws a leaf, and places them."""
  made, held = {}, {}
  for name in names:
    if name in fresh:
      value = _initial(name, plan.target[name], initial)
      row = _reinit_row(plan, name, fresh[name])
    else:
      value, row = _load(plan, name, held)
    made[name] = place(name, value), row
    del value  # or it would live on while the next leaf is read
  return made


def account(plan: Plan, fresh: Mapping[str, str], dropped: Rules) -> list[Row]:
  """Raises on all that names and shapes tell; returns what is dropped.

  Args:
    plan: both sides.
    fresh: {name: reason} of the variables that are not loaded.
    dropped: as for `adapt`.
  """
  problems = [
    problem
    for name in plan.target
    if name not in fresh and (problem := problem_of(plan, name))
  ]
  rows, unused = leftovers(plan, dropped)
  unused += unplaced(plan)
  if problems or unused:
    sizes = len(plan.target), len(plan.source)
    raise UserError(message(problems, unused, *sizes))
  return rows


def _turns(plan: Plan) -> Iterator[list[str]]:
  """Yields the largest leaves first, the parts of one tensor together."""

  def turn(name: str) -> tuple[int, str]:
    spec = plan.target[name]
    nbytes = math.prod(spec.shape) * spec.dtype.itemsize
    return -nbytes, plan.found(name) or name

  for _, names in itertools.groupby(sorted(plan.target, key=turn), turn):
    yield list(names)


def _asked(plan: Plan, reinit: Sequence[str]) -> dict[str, str]:
  """{name: reason} of the leaves that a reinit rule covers."""
  if isinstance(reinit, str):
    raise UserError(f"reinit must be a list of rules, got {reinit!r}.")
  if not reinit:
    return {}
  # Each with itself as value, so that the report names the rule at work.
  found = rules.match([*((r, r) for r in reinit), (".*", None)], plan.target)
  return {
    name: _misfit(plan, name) or f"asked for by reinit rule {rule!r}"
    for name, rule in found.items()
    if rule is not None
  }


def _fresh_head(
  plan: Plan, num_classes: int | None, asked: Mapping[str, str]
) -> dict[str, str]:
  """{name: reason} of the head, if it has to start anew: all of it or none."""
  names = [n for n in plan.target if plan.is_head(n) and n not in asked]
  if num_classes is None:
    return {}
  if names and all(plan.found(name) is None for name in names):
    return dict.fromkeys(names, "the source has no head")
  reasons = [reason for name in names if (reason := _misfit(plan, name))]
  return dict.fromkeys(names, reasons[0]) if reasons else {}


def _misfit(plan: Plan, name: str) -> str | None:
  """Says why a leaf could not be loaded as it is, None if it could."""
  if plan.found(name) is None:
    return f"the source has no {name}"
  want = tuple(plan.target[name].shape)
  try:
    got = plan.shape(name)
  except UserError as error:  # another rank than the layout's
    return str(error)
  if got == want:
    return None
  if plan.is_head(name) and got[:-1] == want[:-1]:
    return f"label count {got[-1]} → {want[-1]}"
  return f"shape {got} → {want}"


def _reinit_row(plan: Plan, name: str, reason: str) -> Row:
  source = plan.found(name)
  shape = None if source is None else shape_of(plan.source, source)
  return Row(
    name, source, "reinit", tuple(plan.target[name].shape), shape, reason
  )


def _initial(
  name: str, spec: jax.ShapeDtypeStruct, initial: Mapping[str, ArrayLike]
) -> ArrayLike:
  got = initial[name].shape if name in initial else None
  if got != tuple(spec.shape):
    raise UserError(
      f"{name} is to be reinit but its initial value has shape {got}, expected"
      f" {tuple(spec.shape)}."
    )
  return initial[name]


def _load(
  plan: Plan, name: str, held: dict[str, np.ndarray]
) -> tuple[np.ndarray, Row]:
  entry, spec = plan.table[name], plan.target[name]
  want = tuple(spec.shape)
  read = blocks.reader(plan.source, entry, spec)
  if read is not None and plan.shape(name) == want:
    axis = layouts.rows(entry)
    array = values.cast_blocks(name, read, want, spec.dtype, axis)
    shape = shape_of(plan.source, entry.source)
    return array, Row(name, entry.source, "loaded", want, shape)
  raw = _raw(plan, entry, held)
  array = layouts.to_jft(entry, raw)
  status, reason = "loaded", ""
  if array.shape != want:
    status, reason = "resized", f"{array.shape} → {want}"
    array = np.asarray(plan.resizer(name)(array, want))
    if array.shape != want:
      raise UserError(f"{name}: resized to {array.shape}, expected {want}.")
  array = values.cast(name, array, spec.dtype)
  if array.base is not None and array.size < raw.size:
    array = array.copy()  # a view would keep the whole tensor alive
  return array, Row(name, entry.source, status, want, raw.shape, reason)


def _raw(plan: Plan, entry: Entry, held: dict[str, np.ndarray]) -> np.ndarray:
  """Reads a tensor; one that has several parts is held for the next."""
  if entry.source in held:
    return held[entry.source]
  held.clear()
  raw = np.asarray(plan.source[entry.source])
  if entry.part is not None:
    held[entry.source] = raw
  return raw
