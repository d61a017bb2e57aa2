"""The end of a run: the best state restored and proven, then reported."""

import math
import pathlib
import time

import numpy as np

from jft import curves, evaluation, report, tree
from jft.metrics import classification_report
from jft.typing import Any, Sequence
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
  workdir: pathlib.Path,
) -> dict[str, Any]:
  """Writes `summary.json`, the curves and the report.

  A run that has ended goes back to its best checkpoint first and evaluates it
  again; an interrupted one is only written down.

  Args:
    session: the run and its writers.
    state: the last state.
    record: the host's record at that state.
    status: "completed", "early_stopped", "interrupted" or "diverged".
    workdir: where to.

  Returns:
    What was written to `summary.json`.

  Raises:
    NotReproduced: if the best checkpoint's metric cannot be reproduced.
  """
  run, last_step = session.run, int(state.step)
  metrics, details = {}, None
  if status in ("completed", "early_stopped"):
    state = session.checkpointer.restore_best(state)
    metrics, details = _measure(run, state, record)
  summary: dict[str, Any] = {
    "status": status,
    "step": last_step,
    "best_step": record.best.step,
    "metrics": metrics,
    "wall_secs": round(
      record.wall_secs + time.monotonic() - session.started, 2
    ),
    "params_trainable": tree.count(state.params),
    "params_total": tree.count(state.params) + tree.count(state.frozen),
    "incidents": list(record.incidents),
    "report": details,
  }
  summary = to_json(summary)
  session.checkpointer.wait()
  write_json(workdir / "summary.json", summary)
  curves.draw(workdir)
  report.render(workdir)
  return summary


def by_class(
  seen: evaluation.Predictions, label_names: Sequence[str]
) -> dict[str, Any]:
  """Precision, recall and F1 by class; see `classification_report`."""
  label = np.asarray(seen.label)
  return classification_report(label, seen.logits.argmax(-1), label_names)


def _measure(run: Any, state: Any, record: Any) -> tuple[dict, dict]:
  """Evaluates every held-out split once more with the restored state."""
  metrics: dict[str, float] = {}
  details: dict[str, Any] = {}
  for split, batches in run.evals.items():
    seen = evaluation.predict(run.eval_step, state.variables, batches)
    metrics |= {f"{split}/{name}": v for name, v in seen.means.items()}
    details = {"split": split, **by_class(seen, run.label_names)}
  got, saved = metrics[run.stop.metric], record.best.value
  if not math.isclose(got, saved, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE):
    raise NotReproduced(
      f"the checkpoint of step {record.best.step} was saved with"
      f" {run.stop.metric} {saved:.6f} and gives {got:.6f} after the restore:"
      " the data, the code or the machine has changed since."
    )
  return metrics, details
