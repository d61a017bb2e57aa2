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
    record: as it was at the last good step.
    found: what happened.

  Returns:
    The state and the record to go on with, and "running" or "diverged".
  """
  run, ckpt = session.run, session.checkpointer
  target = ckpt.latest_step
  if target is None:
    raise UserError("no checkpoint to roll back to: the folder was emptied.")
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
