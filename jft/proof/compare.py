"""Two runs compared by what they wrote down: to the bit, step by step."""

import dataclasses
import pathlib

from jft import trace, workdir, writers
from jft.errors import UserError
from jft.trace import Difference, Trace
from jft.typing import Any, Mapping, Sequence

_MOST_LEAVES = 5


@dataclasses.dataclass(frozen=True)
class Comparison:
  """What two runs have in common.

  Attributes:
    names: what to call them.
    updates, states, evaluations: how many were compared.
    leaves: of a state.
    difference: where they part first; None: nowhere.
    values: what each has there, for a person; None where it has nothing.
    differs: lines by subject: "config", "inputs", "environment".
  """

  names: tuple[str, str]
  updates: int
  states: int
  evaluations: int
  leaves: int
  difference: Difference | None
  values: tuple[str | None, str | None]
  differs: Mapping[str, Sequence[str]]

  @property
  def identical(self) -> bool:
    """Do they agree to the bit in all that was compared?"""
    return self.difference is None


def compare(
  a: str | pathlib.Path,
  b: str | pathlib.Path,
  *,
  upto: int | None = None,
  names: tuple[str, str] = ("A", "B"),
) -> Comparison:
  """Compares two runs' updates, states and evaluations.

  Args:
    a, b: their workdirs.
    upto: the last step to compare (default: all there are).
    names: what to call them.

  Raises:
    UserError: if one of them is no run, or has written no digests.
  """
  folders = pathlib.Path(a), pathlib.Path(b)
  facts = [workdir.saved_facts(folder) for folder in folders]
  traces = [_trace(folder, upto) for folder in folders]
  scores = [_evaluations(folder, upto) for folder in folders]
  difference = _earlier(
    trace.first_difference(*traces), _first_evaluation(*scores)
  )
  return Comparison(
    names,
    *_counts(traces),
    len(scores[0].keys() & scores[1].keys()),
    max((len(s) for s in traces[0].states.values()), default=0),
    difference,
    _values(difference, traces, scores),
    workdir.difference(*facts),
  )


def render(found: Comparison) -> str:
  """Returns a comparison in a few lines for a person."""
  compared = (
    f"{found.updates} updates (loss, gradient norm, sample ids),"
    f" {found.states} states of {found.leaves} leaves,"
    f" {found.evaluations} evaluations"
  )
  difference = found.difference
  if difference is None:
    lines = [f"identical: {compared}"]
  else:
    where = "after" if difference.what in ("state", "evaluation") else "at"
    lines = [f"different, first {where} update {difference.step}:"]
    lines[0] += f" {difference.what}"
    width = max(map(len, found.names))
    lines += [
      f"  {name:<{width}}  {value or 'ends before'}"
      for name, value in zip(found.names, found.values, strict=True)
    ]
    lines += _state_lines(difference)
  for subject, rows in found.differs.items():
    lines += [f"different {subject}:" for _ in rows[:1]]
    lines += [f"  {row}" for row in rows]
  return "\n".join(lines)


def as_json(found: Comparison) -> dict[str, Any]:
  """Returns a comparison as JSON can hold it."""
  return {**dataclasses.asdict(found), "identical": found.identical}


def _state_lines(difference: Difference) -> list[str]:
  if difference.state_step is None or not difference.leaves:
    return []
  shown = ", ".join(difference.leaves[:_MOST_LEAVES])
  more = len(difference.leaves) - _MOST_LEAVES
  tail = f" and {more} more" if more > 0 else ""
  return [
    f"  first differing state, after update {difference.state_step}:"
    f" {shown}{tail}"
  ]


def _trace(folder: pathlib.Path, upto: int | None) -> Trace:
  found = trace.read(folder)
  if not found.updates:
    raise UserError(f"{folder} has made no update yet: nothing to compare.")
  return found if upto is None else found.upto(upto)


def _evaluations(
  folder: pathlib.Path, upto: int | None
) -> dict[int, dict[str, float]]:
  """Returns {step: {metric: value}} of the validation metrics."""
  rows = writers.read_metrics(folder)
  names = {name for row in rows for name in row if name.startswith("val/")}
  found: dict[int, dict[str, float]] = {}
  for name in sorted(names):
    for step, value in zip(*writers.series(rows, name), strict=True):
      if upto is None or step <= upto:
        found.setdefault(step, {})[name] = value
  return found


def _first_evaluation(
  a: Mapping[int, dict[str, float]], b: Mapping[int, dict[str, float]]
) -> Difference | None:
  for step in sorted(a.keys() & b.keys()):
    # By their digits: a metric that is nan in both is the same.
    if repr(a[step]) != repr(b[step]):
      return Difference(step, "evaluation")
  return None


def _earlier(
  one: Difference | None, other: Difference | None
) -> Difference | None:
  """Returns the first of two; an evaluation follows its step's update."""
  found = [difference for difference in (one, other) if difference]
  return min(found, key=lambda difference: difference.step, default=None)


def _counts(traces: Sequence[Trace]) -> tuple[int, int]:
  a, b = traces
  return len(a.updates.keys() & b.updates.keys()), len(
    a.states.keys() & b.states.keys()
  )


def _values(
  difference: Difference | None,
  traces: Sequence[Trace],
  scores: Sequence[Mapping[int, dict[str, float]]],
) -> tuple[str | None, str | None]:
  if difference is None:
    return None, None
  step = difference.step
  if difference.what == "evaluation":
    return repr(scores[0][step]), repr(scores[1][step])
  if difference.what == "state":
    found = [_leaf(t.states[step], difference.leaves[0]) for t in traces]
  else:
    found = [
      _update(t.updates[step], difference.what) if step in t.updates else None
      for t in traces
    ]
  return found[0], found[1]


def _leaf(state: Mapping[str, str], name: str) -> str:
  return f"{name} {state.get(name, 'is not there')}"


def _update(update: trace.Update, what: str) -> str:
  if what == "sample ids":
    return f"ids with checksum {update.ids}"
  bits = update.grad_norm if what == "gradient norm" else update.loss
  return f"{trace.number(bits)!r} (bits {bits})"
