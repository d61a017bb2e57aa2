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

from jft import (
  build,
  digests,
  evaluation,
  finish,
  guard,
  history,
  lock,
  preflight,
  stopping,
)
from jft.build.surgical import saved_choice
from jft.errors import UserError
from jft.history import Pending, Record
from jft.rollback import roll_back
from jft.session import Session, session
from jft.state import TrainState
from jft.store.opening import Opened, open_workdir
from jft.typing import Any, Callable, Iterable, Iterator, Mapping
from jft.workdir import amend, check

# A step's metrics are read once this many later steps are under way, so that
# the device has work queued while the host reads.
_LAG = 2


class Diverged(RuntimeError):
  """The run diverged more often than `guard.max_retries` allows."""


@dataclasses.dataclass(frozen=True)
class StepInfo:
  """One update: `step` counts it; metrics and ids are still on the device."""

  step: int
  state: TrainState
  metrics: Mapping[str, jax.Array]
  ids: jax.Array


def fit(
  config: Any,
  workdir: str | pathlib.Path,
  *,
  command: tuple[str, ...] = (),
  console: Any = None,
  until: int | None = None,
) -> dict[str, Any]:
  """Trains as the config says, or goes on where the workdir's run stopped.

  Args:
    config: as `jft.config.load` returns.
    workdir: a folder, or a URL of an object store, for everything the run
      leaves; another config's is refused.
    command: what the user typed, for the record.
    console: a rich Console to show progress on (default: standard output).
    until: stop after so many updates, as an interrupt would (default: never).

  Returns:
    The contents of `summary.json`.

  Raises:
    UserError: for whatever the user can mend; nothing is half-written.
    Diverged: after more roll-backs than `guard.max_retries`.
  """
  started = time.monotonic()
  if jax.process_count() > 1:
    raise UserError(
      f"fit runs in one process, this is one of {jax.process_count()}: it would"
      " evaluate and report its own part of the examples alone. Use the parts,"
      " as the program for pods in BUILD.md does."
    )
  with open_workdir(workdir) as opened:
    summary = _fit_in(
      opened,
      config,
      command=command,
      console=console,
      until=until,
      started=started,
    )
  if summary["status"] == "diverged":
    incidents = summary["incidents"]
    raise Diverged(
      f"diverged {len(incidents)} times, the last time at step"
      f" {incidents[-1]['step']}; lower optim.lr or set optim.clip_norm. The"
      f" incidents are in {opened.local / 'summary.json'}."
    )
  return summary


def _fit_in(
  opened: Opened, config: Any, *, console: Any, **options: Any
) -> dict[str, Any]:
  """Fits in a local folder; `options` are those of `session`."""
  workdir = opened.local
  check(workdir, config)
  lock.refuse_if_taken(workdir)
  run = build.build(config, choice=saved_choice(workdir))
  findings = ()
  if config.train.preflight != "off" and not (workdir / "run.json").exists():
    findings = preflight.quick(run)
  if config.train.preflight == "refuse":
    preflight.refuse(findings)
  with session(
    run, config, workdir, console=console, push=opened.push, **options
  ) as opened_run:
    if findings:
      amend(workdir, preflight=list(map(dataclasses.asdict, findings)))
    for line in preflight.render(findings, least="warning").splitlines():
      opened_run.bar.line(line)
    state, record, status = train(opened_run)
    return finish.finish(opened_run, state, record, status)


def train(session: Session) -> tuple[TrainState, Record, str]:
  """Trains to the end, to an early stop or to an interrupt.

  Returns:
    The last state, the host's record and the status for `summary.json`.
  """
  state, record = _start(session)
  status, built = "running", session.run
  while status == "running":
    session = dataclasses.replace(session, run=built.begun(record.thaws))
    step = int(state.step)
    if len(record.incidents) > session.run.max_retries:
      return state, record, "diverged"
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
    yield StepInfo(step + 1, state, metrics, batch["id"])


def _start(session: Session) -> tuple[TrainState, Record]:
  ckpt, run = session.checkpointer, session.run
  if ckpt.latest_step is None:
    record = Record(before=_before(session))
    # The last-good state of the first stretch, should it diverge.
    ckpt.save(run.state, extra=record.as_json(0.0), good=True)
    return run.step_at(0).replicate(run.state), record
  state = ckpt.restore_or(run.state)
  step, attempt = int(state.step), int(state.attempt)
  record = Record.from_json(ckpt.read_extra(step))
  # A process that was killed after a roll-back has not saved the cut rate.
  state = history.cut(state, run, record)
  lost = list(ckpt.lost.values())
  session.writer.event(step, attempt, "resumed", lost=lost)
  session.trace.back_to(step, attempt)
  for line in (*lost, f"resumed at step {step}"):
    session.bar.line(line)
  return run.step_at(step).replicate(state), record


def _before(session: Session) -> dict[str, float]:
  """Evaluates the untrained model, where `eval.at_start` asks for it."""
  if not session.run.eval_at_start:
    return {}
  values, _ = finish.held_out(session.run, session.run.state)
  session.writer.write(0, 0, values)
  shown = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
  session.bar.line(f"before training  {shown}")
  return values


def _stretch(
  session: Session, state: TrainState, record: Record, start: int
) -> tuple[TrainState, Record, str]:
  """Trains up to the next evaluation, a divergence or an interrupt."""
  run, begun = session.run, record
  until = min(start - start % run.eval_every + run.eval_every, session.until)
  attempt, incident = int(state.attempt), None
  pending: list[Pending] = []
  mark = time.monotonic()
  batches = run.train_batches(start, until, record.offset)
  with contextlib.closing(batches):
    for info in training_steps(run.step_at, state, batches, start):
      state = info.state
      pending.append(Pending(info.step, info.metrics, info.ids))
      session.bar.update(info.step)
      _tell_phase(session, info.step - 1, attempt)
      if (info.step - _LAG) % run.log_every == 0 and len(pending) > _LAG:
        ready, pending = pending[:-_LAG], pending[-_LAG:]
        record, incident = history.log(session, ready, record, attempt, mark)
        mark = time.monotonic()
      if incident or session.stop:
        break
  if not incident:
    record, incident = history.log(session, pending, record, attempt, mark)
  seen = _look(state)
  if not incident and run.guard and seen.not_finite:
    incident = _broken_state(int(state.step), pending, seen.not_finite[0])
  if incident:
    return roll_back(session, state, begun, incident)
  session.trace.state(int(state.step), attempt, seen.digests)
  return _evaluate_and_save(session, state, record)


def _look(state: TrainState) -> digests.Seen:
  """Looks at all that training changes."""
  return digests.look(
    {
      "params": state.params,
      "model_state": state.model_state,
      "opt_state": state.opt_state,
      "average": state.average,
    }
  )


def _broken_state(
  step: int, pending: list[Pending], leaf: str
) -> guard.Incident:
  """The last update's numbers are fine, and what it left is not."""
  metrics, ids = jax.device_get((dict(pending[-1].metrics), pending[-1].ids))
  return guard.Incident(
    step,
    "state not finite",
    float(metrics["loss"]),
    float(metrics["grad_norm"]),
    None,
    leaf,
    tuple(ids.ravel().tolist()),
  )


def _evaluate_and_save(
  session: Session, state: TrainState, record: Record
) -> tuple[TrainState, Record, str]:
  """Evaluates, remembers the best and saves; an interrupt only saves."""
  run, step, attempt = session.run, int(state.step), int(state.attempt)
  cut_short = session.stop or step >= session.until
  if cut_short and step % run.eval_every and step < run.total_steps:
    _save(session, state, record, None)
    return state, record, "interrupted"
  state = run.recalibrated(state)
  seen = evaluation.predict(
    run.eval_step, state.eval_variables, run.evals["val"]
  )
  found = evaluation.measure(run.task, seen)
  values = {f"val/{name}": value for name, value in found.items()}
  session.writer.write(step, attempt, values)
  best = stopping.update(
    record.best, values[run.stop.metric], step, run.stop.mode
  )
  record = history.thaw(run, dataclasses.replace(record, best=best), step)
  _save(session, state, record, values)
  shown = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
  session.bar.line(f"step {step}/{run.total_steps}  {shown}")
  if cut_short and step < run.total_steps:
    return state, record, "interrupted"
  if _is_stale(session, record):
    session.writer.event(step, attempt, "early_stop", best_step=best.step)
    return state, record, "early_stopped"
  return state, record, "running"


def _save(session: Session, state, record: Record, metrics) -> None:
  # What is written down of the steps must not end before the checkpoint does.
  session.writer.sync()
  session.trace.sync()
  session.checkpointer.save(
    state,
    metrics=metrics,
    extra=record.as_json(session.elapsed_secs),
    good=not record.suspects,
  )
  session.push()


def _tell_phase(session: Session, step: int, attempt: int) -> None:
  """Writes that a new phase begins with the update after `step`."""
  for phase in session.run.tuning.phases[1:]:
    if phase.start_step == step:
      trained = ", ".join(sorted(phase.labels))
      session.writer.event(step, attempt, "phase", trained=trained)
      session.bar.line(f"from step {step} trained: {trained}")


def _is_stale(session: Session, record: Record) -> bool:
  patience = session.run.stop.patience
  return bool(patience) and record.best.since >= patience
