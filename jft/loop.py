"""The training loop: a generator of steps, and `fit`, which drives it.

The device is never waited for inside the loop: metrics stay on the device
until later steps are under way, batches are placed ahead, saves run behind.
Only an evaluation, whose number the user asked for, waits.
"""

import contextlib
import dataclasses
import pathlib
import time

import jax
import jax.numpy as jnp

from jft import build, evaluation, finish, guard, history, interrupt, stopping
from jft.build import Run
from jft.checkpoint import Checkpointer
from jft.disk.reporting import user_errors
from jft.errors import UserError
from jft.history import Record
from jft.progress import progress
from jft.state import TrainState
from jft.typing import Any, Callable, Iterable, Iterator, Mapping
from jft.workdir import begin, check
from jft.writers import MetricsWriter

# A step's metrics are read once this many later steps are under way, so that
# the device has work queued while the host reads.
_LAG = 2


class Diverged(RuntimeError):
  """The run diverged more often than `guard.max_retries` allows."""


@dataclasses.dataclass(frozen=True)
class StepInfo:
  """One update: `step` counts it; `metrics` are still on the device."""

  step: int
  state: TrainState
  metrics: Mapping[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Session:
  """A run and the things it writes to."""

  run: Run
  checkpointer: Checkpointer
  writer: MetricsWriter
  bar: Any
  stop: interrupt.Interrupt
  started: float


def fit(
  config: Any,
  workdir: str | pathlib.Path,
  *,
  command: tuple[str, ...] = (),
  console: Any = None,
) -> dict[str, Any]:
  """Trains as the config says, or goes on where the workdir's run stopped.

  Args:
    config: as `jft.config.load` returns.
    workdir: for everything the run leaves; another config's is refused.
    command: what the user typed, for the record.
    console: a rich Console to show progress on (default: standard output).

  Returns:
    The contents of `summary.json`.

  Raises:
    UserError: for whatever the user can mend; nothing is half-written.
    Diverged: after more roll-backs than `guard.max_retries`.
  """
  started = time.monotonic()
  workdir = pathlib.Path(workdir)
  check(workdir, config)
  run = build.build(config)
  with contextlib.ExitStack() as stack:
    stack.enter_context(user_errors("write the run", workdir))
    begin(workdir, config, run.facts, command)
    session = Session(
      run,
      stack.enter_context(checkpointer(config, workdir)),
      stack.enter_context(
        MetricsWriter(workdir, tensorboard=config.log.tensorboard)
      ),
      stack.enter_context(
        progress(run.total_steps, run.batch_size, console=console)
      ),
      stack.enter_context(interrupt.graceful()),
      started,
    )
    for line in run.describe():
      session.bar.line(line)
    state, record, status = train(session)
    summary = finish.finish(session, state, record, status, workdir)
  if status == "diverged":
    raise Diverged(
      f"diverged {len(record.incidents)} times, the last time at step"
      f" {record.incidents[-1]['step']}; lower optim.lr or set"
      f" optim.clip_norm. The incidents are in {workdir / 'summary.json'}."
    )
  return summary


def checkpointer(config: Any, workdir: pathlib.Path) -> Checkpointer:
  """Opens a run's checkpoints."""
  return Checkpointer(
    workdir / "checkpoints",
    keep_last=config.checkpoint.keep_last,
    keep_best=config.checkpoint.keep_best,
    best=config.stop.metric,
    mode=config.stop.mode,
  )


def train(session: Session) -> tuple[TrainState, Record, str]:
  """Trains to the end, to an early stop or to an interrupt.

  Returns:
    The last state, the host's record and the status for `summary.json`.
  """
  state, record = _start(session)
  status = "running"
  while status == "running":
    step = int(state.step)
    if step >= session.run.total_steps:
      return state, record, "completed"
    if _is_stale(session, record):
      return state, record, "early_stopped"
    state, record, status = _stretch(session, state, record, step)
  return state, record, status


def training_steps(
  step_at: Callable[[int], Callable[..., Any]],
  state: TrainState,
  batches: Iterable[Any],
  start: int,
) -> Iterator[StepInfo]:
  """Yields one StepInfo for every batch; never waits for the device.

  Args:
    step_at: completed updates -> the compiled step of that phase.
    state: donated; go on with the yielded ones.
    batches: global batches, in order.
    start: completed updates of `state`.
  """
  for step, batch in enumerate(batches, start):
    state, metrics = step_at(step)(state, batch)
    yield StepInfo(step + 1, state, metrics)


def _start(session: Session) -> tuple[TrainState, Record]:
  ckpt, run = session.checkpointer, session.run
  if ckpt.latest_step is None:
    # The last-good state of the first stretch, should it diverge.
    ckpt.save(run.state, extra=Record().as_json(0.0), good=True)
    return run.step_at(0).replicate(run.state), Record()
  state = ckpt.restore_or(run.state)
  step = int(state.step)
  session.writer.event(step, int(state.attempt), "resumed")
  session.bar.line(f"resumed at step {step}")
  record = Record.from_json(ckpt.read_extra(step))
  return run.step_at(step).replicate(state), record


def _stretch(
  session: Session, state: TrainState, record: Record, start: int
) -> tuple[TrainState, Record, str]:
  """Trains up to the next evaluation, a divergence or an interrupt."""
  run, begun = session.run, record
  until = min(start - start % run.eval_every + run.eval_every, run.total_steps)
  attempt, pending, incident = int(state.attempt), [], None
  mark = time.monotonic()
  batches = run.train_batches(start, until, record.offset)
  with contextlib.closing(batches):
    for info in training_steps(run.step_at, state, batches, start):
      state = info.state
      pending.append((info.step, info.metrics))
      session.bar.update(info.step)
      _tell_phase(session, info.step - 1, attempt)
      if (info.step - _LAG) % run.log_every == 0 and len(pending) > _LAG:
        ready, pending = pending[:-_LAG], pending[-_LAG:]
        record, incident = history.log(
          run, session.writer, ready, record, attempt, mark
        )
        mark = time.monotonic()
      if incident or session.stop:
        break
  if not incident:
    record, incident = history.log(
      run, session.writer, pending, record, attempt, mark
    )
  if incident:
    return _roll_back(session, state, begun, incident)
  return _evaluate_and_save(session, state, record)


def _evaluate_and_save(
  session: Session, state: TrainState, record: Record
) -> tuple[TrainState, Record, str]:
  """Evaluates, remembers the best and saves; an interrupt only saves."""
  run, step, attempt = session.run, int(state.step), int(state.attempt)
  if session.stop and step % run.eval_every and step < run.total_steps:
    _save(session, state, record, None)
    return state, record, "interrupted"
  means = evaluation.predict(
    run.eval_step, state.variables, run.evals["val"]
  ).means
  values = {f"val/{name}": value for name, value in means.items()}
  session.writer.write(step, attempt, values)
  best = stopping.update(
    record.best, values[run.stop.metric], step, run.stop.mode
  )
  record = dataclasses.replace(record, best=best)
  _save(session, state, record, values)
  shown = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
  session.bar.line(f"step {step}/{run.total_steps}  {shown}")
  if session.stop and step < run.total_steps:
    return state, record, "interrupted"
  if _is_stale(session, record):
    session.writer.event(step, attempt, "early_stop", best_step=best.step)
    return state, record, "early_stopped"
  return state, record, "running"


def _save(session: Session, state, record: Record, metrics) -> None:
  session.checkpointer.save(
    state,
    metrics=metrics,
    extra=record.as_json(time.monotonic() - session.started),
    good=True,
  )


def _tell_phase(session: Session, step: int, attempt: int) -> None:
  """Writes that a new phase begins with the update after `step`."""
  for phase in session.run.tuning.phases[1:]:
    if phase.start_step == step:
      trained = ", ".join(sorted(phase.labels))
      session.writer.event(step, attempt, "phase", trained=trained)


def _is_stale(session: Session, record: Record) -> bool:
  patience = session.run.stop.patience
  return bool(patience) and record.best.since >= patience


def _roll_back(
  session: Session, state: TrainState, record: Record, found: guard.Incident
) -> tuple[TrainState, Record, str]:
  """Back to the last good step; the batches since then are skipped.

  Args:
    session: the run.
    state: the diverged one.
    record: as it was at the last good step.
    found: what happened.
  """
  run, ckpt = session.run, session.checkpointer
  target = ckpt.latest_step
  if target is None:
    raise UserError("no checkpoint to roll back to: the folder was emptied.")
  skipped = found.step - target
  incident = {
    **dataclasses.asdict(found),
    "rolled_back_to": target,
    "batches_skipped": [target + record.offset, found.step + record.offset],
    "action": f"skipped {skipped} batches, learning rate x {run.lr_cut}",
  }
  record = dataclasses.replace(
    record,
    offset=record.offset + skipped,
    incidents=(*record.incidents, incident),
  )
  session.writer.event(found.step, int(state.attempt), "rollback", **incident)
  session.bar.line(
    f"step {found.step}: loss {found.loss:.4g} is {found.reason}; back to step"
    f" {target}, {incident['action']}"
  )
  if len(record.incidents) > run.max_retries:
    return ckpt.restore(target, state), record, "diverged"
  state = ckpt.rollback_to(target, state)
  scale = jnp.full_like(state.lr_scale, history.lr_scale(run, record))
  state = dataclasses.replace(state, lr_scale=scale)
  return run.step_at(target).replicate(state), record, "running"
