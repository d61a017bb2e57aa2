"""A diverged run: back to the last good state, past the bad batches."""

import dataclasses

from jft import blame, guard, history, workdir
from jft.errors import UserError
from jft.history import Record
from jft.session import Session
from jft.state import TrainState


def roll_back(
  session: Session, state: TrainState, record: Record, found: guard.Incident
) -> tuple[TrainState, Record, str]:
  """Back to the last good step; the batches since then are skipped.

  Args:
    session: the run.
    state: the diverged one.
    record: as it was before the updates since the last evaluation.
    found: what happened.

  Returns:
    The state and the record to go on with, and "running" or "diverged".
  """
  run, ckpt = session.run, session.checkpointer
  target, record = _last_good(session, record, found)
  incident = {
    **dataclasses.asdict(found),
    "leaf": _name(state, found.leaf),
    **_action(session, record, found.step, target),
  }
  record = dataclasses.replace(
    record,
    offset=record.offset + found.step - target,
    incidents=(*record.incidents, incident),
  )
  session.writer.event(found.step, int(state.attempt), "rollback", **incident)
  session.bar.line(_line(found, incident))
  extra = record.as_json(session.elapsed_secs)
  state = ckpt.rollback_to(target, state, extra)
  session.trace.back_to(target, int(state.attempt))
  workdir.amend(session.workdir, incidents=list(record.incidents))
  if len(record.incidents) > run.max_retries:
    return state, record, "diverged"
  state = history.cut(state, run, record)
  return run.step_at(target).replicate(state), record, "running"


def _last_good(
  session: Session, record: Record, found: guard.Incident
) -> tuple[int, Record]:
  """Returns the newest step before the incident, and the record of then."""
  ckpt = session.checkpointer
  target = ckpt.latest_step
  if target is None:
    raise UserError("no checkpoint to roll back to: the folder was emptied.")
  if not record.suspects:
    return target, record
  # It was saved among spikes that were not yet known to be a divergence.
  target = ckpt.good_step
  if target is None or target >= min(found.step, record.suspects[0].step):
    raise UserError(
      f"no checkpoint from before step {record.suspects[0].step}, where the"
      " loss began to spike: the folder has lost some."
    )
  saved = Record.from_json(ckpt.read_extra(target))
  return target, dataclasses.replace(saved, wall_secs=record.wall_secs)


def _action(session: Session, record: Record, step: int, target: int) -> dict:
  skipped = step - target
  more = len(record.incidents) < session.run.max_retries
  cut = f"skipped {skipped} batches, learning rate x {session.run.lr_cut}"
  return {
    "rolled_back_to": target,
    "batches_skipped": [target + record.offset, step + record.offset],
    "action": cut if more else "stopped: no retry left",
  }


def _name(state: TrainState, leaf: int | str | None) -> str | None:
  if isinstance(leaf, int):
    return blame.names(state.params)[leaf]
  return leaf


def _line(found: guard.Incident, incident: dict) -> str:
  where = f", first in {incident['leaf']}" if incident["leaf"] else ""
  return (
    f"step {found.step}: {found.reason} (loss {found.loss:.4g}{where}); back to"
    f" step {incident['rolled_back_to']}, {incident['action']}"
  )
