"""What a run writes while it goes on: metrics by the line, records as a whole.

`metrics.jsonl` is the truth; TensorBoard's event files repeat it. JSON has no
nan and no infinity: they are the texts "NaN", "Infinity" and "-Infinity" in
every file, which JavaScript's `Number` and Python's `float` both read.
"""

import json
import math
import os
import pathlib
import time
from typing import Any, Self

from jft import atomic, hosts, lines
from jft.errors import UserError
from jft.lines import Lines
from jft.typing import Callable, Iterable, Mapping, Sequence

METRICS = "metrics.jsonl"
TENSORBOARD = "tensorboard"

_WORDS = ("NaN", "Infinity", "-Infinity")
_WENT_BACK = ("rollback", "resumed")


class MetricsWriter:
  """Appends to `metrics.jsonl` and to TensorBoard's files; a context manager.

  A line is on its way to the disk when the call returns, and half a line that
  a killed run left is cut off first. Only the primary process writes.

  Args:
    workdir: the run's folder, made if it is missing.
    tensorboard: write event files below `tensorboard/` too?
    clock: returns the time in seconds since 1970.
  """

  def __init__(
    self,
    workdir: str | os.PathLike[str],
    tensorboard: bool = True,
    *,
    clock: Callable[[], float] = time.time,
  ):
    self._workdir = pathlib.Path(workdir)
    self._clock = clock
    self._events = _TensorBoard(self._workdir / TENSORBOARD)
    self._with_events = tensorboard
    self._file: Lines | None = None
    if hosts.is_primary():
      self._workdir.mkdir(parents=True, exist_ok=True)
      self._file = Lines(self._workdir / METRICS)

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *exception: Any) -> None:
    self.close()

  def close(self) -> None:
    """Closes the files; may be called twice."""
    self._events.close()
    if self._file is not None:
      self._file.close()
      self._file = None

  def sync(self) -> None:
    """Waits until every line is on the disk itself."""
    if self._file is not None:
      self._file.sync()

  def write(self, step: int, attempt: int, values: Mapping[str, float]) -> None:
    """Writes one line of numbers.

    Args:
      step: completed updates.
      attempt: how many rollbacks came before.
      values: {name: number or scalar array}, such as "train/loss".
    """
    if self._file is None:
      return
    numbers = {name: float(value) for name, value in values.items()}
    now = self._line({}, numbers, step, attempt)
    if self._with_events:
      self._events.write(step, attempt, numbers, now)

  def event(
    self, step: int, attempt: int, name: str, /, **details: Any
  ) -> None:
    """Writes that something happened: "phase", "rollback", "resumed", ….

    Args:
      step: completed updates.
      attempt: how many rollbacks came before.
      name: what happened.
      **details: what JSON can hold; "step", "attempt", "time" and "event" are
        the line's own. `curves` shows the first text among them.
    """
    if self._file is not None:
      self._line({"event": name}, details, step, attempt)

  def _line(
    self,
    head: Mapping[str, Any],
    tail: Mapping[str, Any],
    step: int,
    attempt: int,
  ) -> float:
    now = round(self._clock(), 3)
    own = {"step": int(step), "attempt": int(attempt), "time": now, **head}
    if self._file is not None:
      self._file.write(to_json({**own, **tail, **own}))
    return now


def read_metrics(workdir: str | os.PathLike[str]) -> list[dict[str, Any]]:
  """Returns the lines of `metrics.jsonl` as dicts, in the order of writing.

  A last line that was torn by a kill is left out; nan and infinities are
  floats again.

  Raises:
    UserError: if there is no such file, or a line before the last is damaged.
  """
  path = pathlib.Path(workdir) / METRICS
  rows = lines.read(path)
  if bad := [i for i, row in enumerate(rows, 1) if not _is_sound(row)]:
    raise UserError(
      f"line {bad[0]} of {path} is damaged (no number where one must be);"
      " delete that line."
    )
  return [
    {
      name: float(value) if value in _WORDS else value
      for name, value in row.items()
    }
    for row in rows
  ]


def series(
  rows: Iterable[Mapping[str, Any]], name: str
) -> tuple[list[int], list[float]]:
  """Returns the steps (rising) and the values of one metric.

  The last line of a step wins. Where the run went back, what it had written
  for later steps does not count any more.

  Args:
    rows: as `read_metrics` returns.
    name: such as "val/accuracy".

  >>> rows = [{"step": s, "train/loss": v} for s, v in [(1, 9), (2, 8), (2, 7)]]
  >>> series(rows, "train/loss")
  ([1, 2], [9.0, 7.0])
  """
  steps: list[int] = []
  values: list[float] = []

  def forget(first: int) -> None:
    while steps and steps[-1] >= first:
      steps.pop()
      values.pop()

  for row in rows:
    if row.get("event") in _WENT_BACK:
      forget(row.get("rolled_back_to", row["step"]) + 1)
    if "event" not in row and name in row:
      forget(row["step"])
      steps.append(row["step"])
      values.append(float(row[name]))
  return steps, values


def write_json(path: str | os.PathLike[str], value: Any) -> None:
  """Writes JSON for people and programs; complete or not at all.

  Args:
    path: an existing file is replaced in one step.
    value: what `to_json` takes.
  """
  text = json.dumps(to_json(value), indent=2, ensure_ascii=False)
  # Half a surrogate pair (a file name that is no UTF-8) is JSON's \udcff.
  atomic.write_bytes(path, f"{text}\n".encode(errors="backslashreplace"))


def read_json(path: str | os.PathLike[str]) -> Any:
  """Returns what `write_json` wrote; nan and infinities stay texts.

  They stay so because a class may be called "NaN"; `float` reads them.

  Raises:
    UserError: if the file is missing or is not JSON.
  """
  try:
    return json.loads(pathlib.Path(path).read_bytes())
  except OSError as error:
    raise UserError(_unreadable(path, error)) from error
  except (ValueError, RecursionError) as error:
    raise UserError(
      f"{os.fspath(path)} is not JSON: {error}. Restore it or delete it."
    ) from error


def to_json(value: Any) -> Any:
  """Returns the value out of what JSON has: dicts, lists, texts, numbers.

  Args:
    value: nested mappings and sequences of numbers, texts, None, paths, NumPy
      or JAX scalars and arrays.

  Raises:
    UserError: for anything else.

  >>> to_json({"shape": (2, 3), "loss": float("nan")})
  {'shape': [2, 3], 'loss': 'NaN'}
  """
  if hasattr(value, "tolist"):
    value = value.tolist()
  if isinstance(value, Mapping):
    return {str(key): to_json(item) for key, item in value.items()}
  if isinstance(value, Sequence) and not isinstance(value, str | bytes):
    return [to_json(item) for item in value]
  if isinstance(value, float) and not math.isfinite(value):
    return json.dumps(value)
  if value is None or isinstance(value, str | int | float):
    return value
  if isinstance(value, os.PathLike):
    return os.fspath(value)
  raise UserError(
    f"JSON cannot hold {value!r} ({type(value).__name__}); write numbers,"
    " texts, lists or dicts."
  )


class _TensorBoard:
  """Event files; tensorboardX is imported at the first number only."""

  def __init__(self, directory: pathlib.Path):
    self._directory = directory
    self._attempt = -1
    self._writer: Any = None

  def write(
    self, step: int, attempt: int, numbers: Mapping[str, float], now: float
  ) -> None:
    if attempt != self._attempt:
      self._open(step, attempt)
    for name, value in numbers.items():
      # TensorBoard draws no such point, tensorboardX logs a warning for it.
      if math.isfinite(value):
        self._writer.add_scalar(name, value, step, walltime=now)

  def _open(self, step: int, attempt: int) -> None:
    import tensorboardX

    self.close()
    self._attempt = attempt
    # purge_step: TensorBoard forgets what was there from this step on. The
    # suffix keeps two files of one second apart.
    self._writer = tensorboardX.SummaryWriter(
      os.fspath(self._directory),
      purge_step=step,
      filename_suffix=f".{attempt}.{step}",
    )

  def close(self) -> None:
    if self._writer is not None:
      self._writer.close()
      self._writer, self._attempt = None, -1


def _is_sound(row: Mapping[str, Any]) -> bool:
  """Is this what `write` or `event` wrote, as far as `series` needs it?"""
  steps = [row["step"], row.get("rolled_back_to", 0)]
  numbers = [] if "event" in row else row.values()
  return all(type(n) is int and abs(n) < 2**63 for n in steps) and all(
    type(n) is float or (type(n) is int and abs(n) < 2**63) or n in _WORDS
    for n in numbers
  )


def _unreadable(path: str | os.PathLike[str], error: OSError) -> str:
  return (
    f"cannot read {os.fspath(path)}: {error.strerror}. Is this the workdir of"
    " a run?"
  )
