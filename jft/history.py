"""What a run knows on the host: its record, and the metrics of its steps."""

import dataclasses
import itertools
import time

import jax

from jft import guard, stopping
from jft.build import Run
from jft.typing import Any, Mapping
from jft.writers import MetricsWriter


@dataclasses.dataclass(frozen=True)
class Record:
  """What a run knows on the host; saved with every checkpoint.

  Attributes:
    best: the best evaluation so far, for early stopping.
    offset: batches skipped by roll-backs; update s reads batch s + offset.
    losses: the latest good losses, which the guard compares with.
    incidents: one record for every roll-back.
    wall_secs: what the processes before this one took, up to their last save.
  """

  best: stopping.Best = dataclasses.field(default_factory=stopping.Best)
  offset: int = 0
  losses: tuple[float, ...] = ()
  incidents: tuple[Mapping[str, Any], ...] = ()
  wall_secs: float = 0.0

  @classmethod
  def from_json(cls, saved: Mapping[str, Any]) -> "Record":
    """Reads what `dataclasses.asdict` wrote."""
    return cls(
      stopping.Best(**saved["best"]),
      saved["offset"],
      tuple(saved["losses"]),
      tuple(saved["incidents"]),
      saved["wall_secs"],
    )

  def as_json(self, elapsed_secs: float) -> dict[str, Any]:
    """Returns what to save, with this process's seconds added."""
    saved = dataclasses.asdict(self)
    return {**saved, "wall_secs": self.wall_secs + elapsed_secs}


def lr_scale(run: Run, record: Record) -> float:
  """The learning rate's factor: every roll-back cuts it once more."""
  return run.lr_cut ** len(record.incidents)


def log(
  run: Run,
  writer: MetricsWriter,
  ready: list[tuple[int, Any]],
  record: Record,
  attempt: int,
  since: float,
) -> tuple[Record, guard.Incident | None]:
  """Writes the metrics of some steps and looks for a divergence in them.

  Args:
    run: says how often, and what counts as diverged.
    writer: gets the means of every window of `run.log_every` steps.
    ready: (step, metrics on the device) in order.
    record: before these steps.
    attempt: of the state.
    since: `time.monotonic()` when the first of them began.

  Returns:
    The record after these steps, and the first bad one, if there is one.
  """
  if not ready:
    return record, None
  scale = lr_scale(run, record)
  steps = [step for step, _ in ready]
  values = jax.device_get([metrics for _, metrics in ready])
  rate = len(ready) * run.batch_size / max(time.monotonic() - since, 1e-9)
  # Windows end at multiples of log_every, wherever evaluations fall.
  for _, window in itertools.groupby(
    zip(steps, values, strict=True), lambda row: (row[0] - 1) // run.log_every
  ):
    rows = list(window)
    last = rows[-1][0]
    means = {
      f"train/{name}": float(sum(value[name] for _, value in rows) / len(rows))
      for name in values[0]
    }
    rates = {name: lr * scale for name, lr in run.lr_at(last - 1).items()}
    writer.write(
      last, attempt, {**means, **rates, "train/examples_per_sec": rate}
    )
  losses = [float(value["loss"]) for value in values]
  norms = [float(value["grad_norm"]) for value in values]
  if run.guard and (
    found := guard.first_incident(
      run.guard, record.losses, list(zip(steps, losses, norms, strict=True))
    )
  ):
    return record, found
  losses = (*record.losses, *losses)
  window = run.guard.window if run.guard else 0
  return dataclasses.replace(
    record, losses=losses[len(losses) - window :]
  ), None
