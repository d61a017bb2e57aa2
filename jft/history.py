"""What a run knows on the host: its record, and the metrics of its steps."""

import dataclasses
import itertools
import time

import jax
import jax.numpy as jnp
import numpy as np

from jft import blame, guard, stopping, trace
from jft.build import Run
from jft.errors import UserError
from jft.session import Session
from jft.state import TrainState
from jft.typing import Any, Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Record:
  """What a run knows on the host; saved with every checkpoint.

  Attributes:
    best: the best evaluation so far, for early stopping.
    offset: batches skipped by roll-backs; update s reads batch s + offset.
    losses: the latest good losses, which the guard compares with.
    incidents: one record for every roll-back.
    wall_secs: what the processes before this one took, up to their last save.
    before: the held-out metrics before the first update, if they were asked.
    thaws: the steps at which a plateau let a further phase begin.
    level: of the good losses that training began with, once they are there.
    suspects: the spikes of the last updates, which may be a divergence.
  """

  best: stopping.Best = dataclasses.field(default_factory=stopping.Best)
  offset: int = 0
  losses: tuple[float, ...] = ()
  incidents: tuple[Mapping[str, Any], ...] = ()
  wall_secs: float = 0.0
  before: Mapping[str, float] = dataclasses.field(default_factory=dict)
  thaws: tuple[int, ...] = ()
  level: float | None = None
  suspects: tuple[guard.Incident, ...] = ()

  @classmethod
  def from_json(cls, saved: Mapping[str, Any]) -> "Record":
    """Reads what `dataclasses.asdict` wrote.

    Raises:
      UserError: if something else wrote it.
    """
    try:
      return cls(
        stopping.Best(**saved["best"]),
        int(saved["offset"]),
        tuple(float(loss) for loss in saved["losses"]),
        tuple(dict(incident) for incident in saved["incidents"]),
        float(saved["wall_secs"]),
        dict(saved.get("before", {})),
        tuple(int(step) for step in saved.get("thaws", ())),
        None if (level := saved.get("level")) is None else float(level),
        tuple(
          guard.Incident(**{**odd, "ids": tuple(odd["ids"])})
          for odd in saved.get("suspects", ())
        ),
      )
    except (KeyError, TypeError, ValueError) as error:
      raise UserError(
        f"the checkpoint's record is not one of `fit` ({error!r}): this folder"
        " holds another program's checkpoints; give another --workdir."
      ) from error

  def as_json(self, elapsed_secs: float) -> dict[str, Any]:
    """Returns what to save, with this process's seconds added."""
    saved = dataclasses.asdict(self)
    return {**saved, "wall_secs": self.wall_secs + elapsed_secs}


def lr_scale(run: Run, record: Record) -> float:
  """The learning rate's factor: every roll-back cuts it once more."""
  return run.lr_cut ** len(record.incidents)


def cut(state: TrainState, run: Run, record: Record) -> TrainState:
  """Returns the state with the learning rate's factor of the record."""
  scale = jnp.full_like(state.lr_scale, lr_scale(run, record))
  return dataclasses.replace(state, lr_scale=scale)


def thaw(run: Run, record: Record, step: int) -> Record:
  """Returns the record after an evaluation: has a plateau ended the phase?

  A phase that begins counts its evaluations anew, for early stopping too.

  Args:
    run: with the phases that have begun so far.
    record: with this evaluation in it.
    step: completed updates.
  """
  plateau = 0 < run.unfreeze_patience <= record.best.since
  if not plateau or not run.tuning.waiting or step >= run.total_steps:
    return record
  thaws = (*record.thaws, step)
  try:
    run.tuning.begun((step,))
  except UserError:
    return record  # Too few steps are left for its schedule.
  best = dataclasses.replace(record.best, since=0)
  return dataclasses.replace(record, best=best, thaws=thaws)


@dataclasses.dataclass(frozen=True)
class Pending:
  """What an update left on the device: its metrics and sample ids."""

  step: int
  metrics: Mapping[str, jax.Array]
  ids: jax.Array


def log(
  session: Session,
  ready: Sequence[Pending],
  record: Record,
  attempt: int,
  since: float,
) -> tuple[Record, guard.Incident | None]:
  """Writes the metrics of some steps and looks for a divergence in them.

  Args:
    session: the run, and where its lines go.
    ready: in order.
    record: before these steps.
    attempt: of the state.
    since: `time.monotonic()` when the first of them began.

  Returns:
    The record after these steps, and the first bad one, if there is one.
  """
  if not ready:
    return record, None
  run = session.run
  steps = [pending.step for pending in ready]
  values = jax.device_get([dict(pending.metrics) for pending in ready])
  ids = jax.device_get([trace.on_host(pending.ids) for pending in ready])
  leaf = [int(value.pop("bad_leaf", blame.NOBODY)) for value in values]
  rate = len(ready) * run.batch_size / max(time.monotonic() - since, 1e-9)
  scale = lr_scale(run, record)
  _write_windows(session, steps, values, attempt, scale, rate)
  rows = [
    (step, value["loss"], value["grad_norm"])
    for step, value in zip(steps, values, strict=True)
  ]
  session.trace.updates(
    attempt, [(*row, sample) for row, sample in zip(rows, ids, strict=True)]
  )
  if not run.guard:
    return record, None
  seen = {
    step: (float(loss), float(norm), bad, sample)
    for (step, loss, norm), bad, sample in zip(rows, leaf, ids, strict=True)
  }
  return _judge(run.guard, record, seen)


def _judge(
  thresholds: guard.Guard,
  record: Record,
  seen: Mapping[int, tuple[float, float, int, Any]],
) -> tuple[Record, guard.Incident | None]:
  """Judges {step: (loss, gradient norm, bad leaf, ids)}, and what was open."""
  suspects = {odd.step: odd for odd in record.suspects}
  steps = [(odd.step, odd.loss, odd.grad_norm) for odd in suspects.values()]
  steps += [(step, loss, norm) for step, (loss, norm, *_) in seen.items()]
  said = guard.judge(thresholds, record.losses, steps, record.level)
  found = [said.incident] if said.incident else said.suspects
  told = [
    suspects.get(odd.step) or _with_samples(odd, *seen[odd.step][2:])
    for odd in found
  ]
  if said.incident:
    return record, told[0]
  return _remember(thresholds, record, said.good, tuple(told)), None


def _with_samples(found: guard.Incident, leaf: int, ids: Any) -> guard.Incident:
  return dataclasses.replace(
    found,
    leaf=None if leaf == blame.NOBODY else leaf,
    ids=tuple(np.ravel(ids).tolist()),
  )


def _remember(
  thresholds: guard.Guard,
  record: Record,
  losses: Sequence[float],
  suspects: tuple[guard.Incident, ...],
) -> Record:
  """Returns the record after good losses: what the guard needs of them."""
  seen, level = (*record.losses, *losses), record.level
  if level is None:
    level = guard.level_of(thresholds, seen)
  seen = seen[max(len(seen) - thresholds.window, 0) :]
  return dataclasses.replace(
    record, losses=seen, level=level, suspects=suspects
  )


def _write_windows(
  session: Session,
  steps: Sequence[int],
  values: Sequence[Mapping[str, Any]],
  attempt: int,
  scale: float,
  rate: float,
) -> None:
  """Writes means over windows that end at multiples of `log_every`.

  So they do wherever evaluations fall.
  """
  run = session.run
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
    session.writer.write(
      last, attempt, {**means, **rates, "train/examples_per_sec": rate}
    )
