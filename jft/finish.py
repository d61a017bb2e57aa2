"""The end of a run: the best state restored and proven, then reported."""

import math

from jft import curves, digests, distill, evaluation, report, tree
from jft.typing import Any
from jft.writers import to_json, write_json

# The same program on the same data: only another machine's rounding differs.
_TOLERANCE = 1e-4


class NotReproduced(RuntimeError):
  """A restored checkpoint does not give the metric it was saved with."""


def finish(
  session: Any,
  state: Any,
  record: Any,
  status: str,
) -> dict[str, Any]:
  """Writes `summary.json`, the curves and the report.

  A run that has ended, well or not, goes back to its best checkpoint first and
  evaluates it again; an interrupted one is only written down.

  Args:
    session: the run and its writers.
    state: the last state.
    record: the host's record at that state.
    status: "completed", "early_stopped", "interrupted" or "diverged".

  Returns:
    What was written to `summary.json`.

  Raises:
    NotReproduced: if the best checkpoint's metric cannot be reproduced.
  """
  ckpt, workdir, last_step = (
    session.checkpointer,
    session.workdir,
    int(state.step),
  )
  metrics, details, best_step, sha256 = {}, None, record.best.step, None
  if status != "interrupted" and ckpt.best_step is not None:
    state = _restore_best(session, state)
    best_step = int(state.step)
    metrics, details = _measure(session, state)
    sha256 = digests.sha256(state.eval_variables)
  summary: dict[str, Any] = {
    "status": status,
    "step": last_step,
    "best_step": best_step,
    "best_sha256": sha256,
    "metrics": metrics,
    "before": dict(record.before),
    "wall_secs": round(record.wall_secs + session.elapsed_secs, 2),
    "params_trainable": tree.count(state.params),
    "params_total": tree.count(state.params)
    + tree.count(distill.student(state.frozen)),
    "incidents": list(record.incidents),
    "damaged_checkpoints": list(ckpt.lost.values()),
    "report": details,
  }
  summary = to_json(summary)
  session.checkpointer.wait()
  write_json(workdir / "summary.json", summary)
  curves.draw(workdir)
  report.render(workdir)
  return summary


def held_out(run: Any, state: Any) -> tuple[dict[str, float], dict[str, Any]]:
  """Returns the metrics of every held-out split, and the last one's report.

  Args:
    run: as built.
    state: whose variables to evaluate.
  """
  metrics: dict[str, float] = {}
  details: dict[str, Any] = {}
  for split, batches in run.evals.items():
    seen = evaluation.predict(run.eval_step, state.eval_variables, batches)
    found = evaluation.measure(run.task, seen)
    metrics |= {f"{split}/{name}": v for name, v in found.items()}
    details = {"split": split, **run.task.report(seen, run.label_names)}
  return metrics, details


def _restore_best(session: Any, state: Any) -> Any:
  """Restores the best that is intact, and says what was not."""
  ckpt = session.checkpointer
  known = set(ckpt.lost)
  state = ckpt.restore_best(state)
  lost = [why for step, why in ckpt.lost.items() if step not in known]
  if lost:
    step, attempt = int(state.step), int(state.attempt)
    session.writer.event(step, attempt, "best_damaged", lost=lost)
  for line in lost:
    session.bar.line(f"{line}; the best that is left is step {int(state.step)}")
  return state


def _measure(session: Any, state: Any) -> tuple[dict, dict]:
  """Evaluates every held-out split once more with the restored state."""
  run, step = session.run, int(state.step)
  metrics, details = held_out(run, state)
  got = metrics[run.stop.metric]
  saved = session.checkpointer.metrics(step)[run.stop.metric]
  if not math.isclose(got, saved, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE):
    raise NotReproduced(
      f"the checkpoint of step {step} was saved with {run.stop.metric}"
      f" {saved:.6f} and gives {got:.6f} after the restore: the data, the code"
      " or the machine has changed since."
    )
  return metrics, details
