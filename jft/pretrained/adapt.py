"""Foreign weights into jft's variables, with every leaf accounted for.

On the target's side a leaf is loaded, resized or, only if asked, reinit; on the
source's side a tensor is used or dropped by a rule with a reason. Whatever is
left over on either side is an error, never a silent half-load.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jft import rules
from jft.errors import UserError
from jft.pretrained import layouts
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
from jft.typing import ArrayLike, Rules

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
) -> tuple[dict[str, ArrayLike], Report]:
  """Returns the target's variables, filled from the source.

  Args:
    target: {name: shape and dtype} of every variable.
    source: {foreign name: array}, read one at a time.
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
  problems = [
    problem
    for name in target
    if name not in fresh and (problem := problem_of(plan, name))
  ]
  dropped_rows, unused = leftovers(plan, dropped)
  unused += unplaced(plan)
  if problems or unused:  # all that names and shapes tell, before any is read
    raise UserError(message(problems, unused, len(target), len(source)))
  out, rows = {}, []
  for name, spec in target.items():
    if name in fresh:
      out[name] = _initial(name, spec, initial)
      rows.append(_reinit_row(plan, name, fresh[name]))
    else:
      out[name], row = _load(plan, name)
      rows.append(row)
  return out, Report((*rows, *dropped_rows))


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


def _load(plan: Plan, name: str) -> tuple[np.ndarray, Row]:
  entry, spec = plan.table[name], plan.target[name]
  raw = np.asarray(plan.source[entry.source])
  array, want = layouts.to_jft(entry, raw), tuple(spec.shape)
  status, reason = "loaded", ""
  if array.shape != want:
    status, reason = "resized", f"{array.shape} → {want}"
    array = np.asarray(plan.resizer(name)(array, want))
    if array.shape != want:
      raise UserError(f"{name}: resized to {array.shape}, expected {want}.")
  array = _cast(name, array, spec.dtype)
  return array, Row(name, entry.source, status, want, raw.shape, reason)


def _cast(name: str, array: np.ndarray, dtype: Any) -> np.ndarray:
  """Returns the array in the target's dtype, finite and in C order."""
  for kind in (jnp.floating, jnp.integer, jnp.bool_):
    if jnp.issubdtype(dtype, kind) != jnp.issubdtype(array.dtype, kind):
      raise UserError(
        f"{name}: the source holds {array.dtype}, the model {dtype}; convert"
        " the file."
      )
  _check_finite(name, array, "in the source")
  with np.errstate(over="ignore"):  # reported below, with the name
    cast = array.astype(dtype, order="C", copy=False)
  if cast.dtype != array.dtype:
    _check_finite(name, cast, f"after the cast from {array.dtype} to {dtype}")
  return cast


def _check_finite(name: str, array: np.ndarray, where: str) -> None:
  if not jnp.issubdtype(array.dtype, jnp.inexact):
    return
  finite = np.isfinite(array)
  if not finite.all():
    raise UserError(
      f"{name}: {array.size - int(finite.sum())} of {array.size} values are NaN"
      f" or infinite {where}; the file is damaged or of a diverged run."
    )
