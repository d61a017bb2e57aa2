"""What a run computed, to the bit: `digests.jsonl`, and where two runs part.

Every update leaves the bits of its loss and gradient norm and a checksum of its
sample ids; every evaluation leaves a digest of every leaf. The first two cost
nothing (they come with the metrics), the third is one look at the state.
"""

import dataclasses
import pathlib
import zlib
from typing import Self

import jax
import numpy as np

from jft import digests, hosts, lines
from jft.errors import UserError
from jft.lines import Lines
from jft.typing import Any, Iterable, Mapping

FILE = "digests.jsonl"


@dataclasses.dataclass(frozen=True)
class Update:
  """One update: what went in and what came out, as hex digits.

  Attributes:
    loss, grad_norm: the bits of the float32.
    ids: CRC-32 of the sample ids, in the order of the batch.
  """

  loss: str
  grad_norm: str
  ids: str


@dataclasses.dataclass(frozen=True)
class Trace:
  """A run's digests, without what it went back on.

  Attributes:
    updates: {step: Update}; step s is the s-th update.
    states: {step: {leaf: digest}} after so many updates.
  """

  updates: dict[int, Update]
  states: dict[int, dict[str, str]]

  def upto(self, step: int) -> "Trace":
    """Returns the part up to a step."""
    return Trace(
      {s: update for s, update in self.updates.items() if s <= step},
      {s: state for s, state in self.states.items() if s <= step},
    )


@dataclasses.dataclass(frozen=True)
class Difference:
  """Where two traces part.

  Attributes:
    step: the first step that differs.
    what: "sample ids", "loss", "gradient norm", "state" or "length".
    leaves: the leaves that differ in the first differing state, if any.
    state_step: the step of that state, or None.
  """

  step: int
  what: str
  leaves: tuple[str, ...] = ()
  state_step: int | None = None


class TraceWriter:
  """Appends to `digests.jsonl`; a context manager. The primary process writes.

  Args:
    workdir: the run's folder.
  """

  def __init__(self, workdir: pathlib.Path):
    self._file = Lines(workdir / FILE) if hosts.is_primary() else None

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *exception: Any) -> None:
    if self._file is not None:
      self._file.close()

  def updates(
    self, attempt: int, rows: Iterable[tuple[int, Any, Any, Any]]
  ) -> None:
    """Writes some updates on one line.

    Args:
      attempt: of the state.
      rows: (step, loss, grad_norm, sample ids), steps rising by one.
    """
    made = [
      (step, bits(loss), bits(norm), checksum(ids))
      for step, loss, norm, ids in rows
    ]
    if made and self._file is not None:
      steps, losses, norms, ids = zip(*made, strict=True)
      self._file.write(
        {
          "step": steps[-1],
          "attempt": attempt,
          "loss": losses,
          "grad_norm": norms,
          "ids": ids,
        }
      )

  def state(
    self, step: int, attempt: int, leaf_digests: Mapping[str, str]
  ) -> None:
    """Writes the digests of a state after `step` updates."""
    if self._file is not None:
      self._file.write(
        {
          "step": step,
          "attempt": attempt,
          "state": digests.combine(leaf_digests),
          "leaves": dict(leaf_digests),
        }
      )

  def back_to(self, step: int, attempt: int) -> None:
    """Writes that the run goes on from `step`: what came later is void."""
    if self._file is not None:
      self._file.write({"step": step, "attempt": attempt, "back": True})

  def sync(self) -> None:
    """Waits until every line is on the disk itself."""
    if self._file is not None:
      self._file.sync()


def read(workdir: pathlib.Path) -> Trace:
  """Returns a run's digests.

  Raises:
    UserError: if there are none, or a line is damaged.
  """
  trace = Trace({}, {})
  for number, row in enumerate(lines.read(workdir / FILE), 1):
    if not _is_sound(row):
      raise UserError(
        f"line {number} of {workdir / FILE} is damaged (no digests of updates"
        " or of a state); delete that line."
      )
    if "back" in row:
      trace = trace.upto(row["step"])
    elif "leaves" in row:
      trace.states[row["step"]] = row["leaves"]
    else:
      first = row["step"] - len(row["loss"]) + 1
      columns = zip(row["loss"], row["grad_norm"], row["ids"], strict=True)
      for step, column in enumerate(columns, first):
        trace.updates[step] = Update(*column)
  return trace


def _is_sound(row: Mapping[str, Any]) -> bool:
  if "back" in row:
    return True
  if "leaves" in row:
    return isinstance(row["leaves"], dict)
  columns = [row.get(name) for name in ("loss", "grad_norm", "ids")]
  return all(
    isinstance(column, list) and len(column) == len(columns[0] or ())
    for column in columns
  )


def first_difference(a: Trace, b: Trace) -> Difference | None:
  """Returns where two traces part first; None if they agree to the end.

  A state counts before the update that follows it: had it differed, so would
  the update's loss.

  >>> one = Trace({1: Update("a", "b", "c")}, {})
  >>> first_difference(one, Trace({1: Update("a", "x", "c")}, {})).what
  'gradient norm'
  """
  state_step, changed = _first_state(a, b)
  found = _first_update(a, b)
  if found is None:
    if state_step is None:
      return None
    return Difference(state_step, "state", changed, state_step)
  step, what = found
  if state_step is not None and state_step < step:
    return Difference(state_step, "state", changed, state_step)
  return Difference(step, what, changed, state_step)


def bits(value: Any) -> str:
  """Returns the bits of a number as a float32: 8 hex digits.

  >>> bits(1.0)
  '3f800000'
  """
  return f"{int(np.asarray(value, np.float32).view(np.uint32)):08x}"


def number(digits: str) -> float:
  """Returns the number whose `bits` these are.

  >>> number("3f800000")
  1.0
  """
  return float(np.uint32(int(digits, 16)).view(np.float32))


def checksum(ids: Any) -> str:
  """Returns the CRC-32 of sample ids, whatever their shape: 8 hex digits.

  >>> checksum([[1, 2], [3, 4]]) == checksum([1, 2, 3, 4])
  True
  """
  return f"{zlib.crc32(np.asarray(ids, '<i4').tobytes()):08x}"


def on_host(ids: jax.Array) -> Any:
  """Returns this process's part of sample ids that may lie on many hosts."""
  if ids.is_fully_addressable:
    return ids
  shards = {
    shard.index[0].start or 0: shard for shard in ids.addressable_shards
  }
  return np.concatenate([shards[at].data for at in sorted(shards)])


def _first_update(a: Trace, b: Trace) -> tuple[int, str] | None:
  names = {"ids": "sample ids", "loss": "loss", "grad_norm": "gradient norm"}
  for step in sorted(a.updates.keys() | b.updates.keys()):
    one, other = a.updates.get(step), b.updates.get(step)
    if one is None or other is None:
      return step, "length"
    for field, what in names.items():
      if getattr(one, field) != getattr(other, field):
        return step, what
  return None


def _first_state(a: Trace, b: Trace) -> tuple[int | None, tuple[str, ...]]:
  for step in sorted(a.states.keys() & b.states.keys()):
    one, other = a.states[step], b.states[step]
    if one != other:
      names = sorted(one.keys() | other.keys(), key=_params_first)
      return step, tuple(n for n in names if one.get(n) != other.get(n))
  return None, ()


def _params_first(name: str) -> tuple[bool, str]:
  return not name.startswith("params/"), name
