"""The loss before training: about that of guessing where the head is new."""

import dataclasses

import numpy as np

from jft import evaluation
from jft.build import Run
from jft.data import index_at
from jft.preflight.finding import Finding
from jft.tasks import Expected
from jft.typing import Batch

FACTOR = 1.5
"""A loss above FACTOR x expected + its margin is told."""


def batch_of(run: Run) -> Batch:
  """Returns one evaluation batch of "val", of mixed classes.

  It has a shape that the run's own evaluations compile for anyway: of images
  it is drawn from all of them, of texts it holds the shortest: the cheapest.
  """
  val = run.evals["val"]
  if val.examples.lengths is not None:
    return val.batch_at(0)
  n = val.num_examples
  order = index_at(np.arange(n), n, 0, "preflight")
  return dataclasses.replace(val, order=order).batch_at(0)


def check(run: Run, labels: np.ndarray) -> list[Finding]:
  """Evaluates the untrained model on one batch.

  Args:
    run: as built.
    labels: of the training examples, as the task's `expected` takes them.
  """
  seen = evaluation.predict(run.eval_step, run.state.variables, [batch_of(run)])
  known = run.task.expected(labels, len(run.label_names))
  return [judge(seen.values["loss"], _finite(seen), known, fresh=is_fresh(run))]


def is_fresh(run: Run) -> bool:
  """Was the head initialised, not loaded?"""
  rows = [
    row
    for row in run.net.report
    if row.name and row.name.startswith("params/head/")
  ]
  return bool(rows) and all(row.status == "reinit" for row in rows)


def _finite(seen: evaluation.Predictions) -> np.ndarray:
  """Bool[n]: is all that the model gave for an example a number?"""
  rows = [seen.values["loss"], *seen.outputs.values()]
  return np.all([np.isfinite(x).reshape(len(x), -1).all(1) for x in rows], 0)


def judge(
  losses: np.ndarray,
  finite: np.ndarray,
  known: Expected | None,
  *,
  fresh: bool,
) -> Finding:
  """Compares the first loss with what a model that knows nothing has.

  Of classes that is ln K for even guesses, and the classes' entropy for one
  that knows how frequent each is.

  Args:
    losses: Float[n].
    finite: Bool[n], are the loss and the outputs numbers?
    known: what the task expects; None: it does not say.
    fresh: is the head new?
  """
  loss = float(np.mean(losses, dtype=np.float64))
  details = {"loss": loss, "fresh_head": fresh, "examples": len(losses)}
  if not finite.all():
    bad = int((~finite).sum())
    return Finding(
      "start_loss",
      "error",
      f"the untrained model's loss is not finite for {bad} of {len(losses)}"
      " examples. Look for NaN or infinite weights (jft inspect SOURCE) and"
      " inputs, and try model.dtype=float32.",
      {**details, "loss": None, "not_finite": bad},
    )
  head = "a new" if fresh else "the loaded"
  told = f"{loss:.3f} with {head} head"
  if known is None:
    return Finding("start_loss", "ok", f"{told}.", details)
  even, informed = known.even, known.informed
  details |= {"even_guesses": even, "informed_guesses": informed}
  told += f"; {known.told}"
  if abs(informed - even) > 0.1 * known.margin:
    told += f", {known.informed_by} {informed:.3f}"
  level, advice = "ok", ""
  if loss > FACTOR * max(even, informed) + known.margin:
    level = "warning"
    advice = _TOO_HIGH if fresh else _TOO_HIGH_LOADED.format(known.advice)
  elif fresh and loss < 0.5 * min(even, informed):
    level, advice = "warning", _TOO_LOW
  return Finding("start_loss", level, f"{told}.{advice}", details)


_TOO_HIGH = (
  " The new head is sure of what it cannot know yet: its inputs may be"
  " too large (check the normalisation in the view below), and the first"
  " steps will mostly undo this (warm up, or lower optim.lr)."
)
_TOO_HIGH_LOADED = (
  " A trained head should do better than guessing: {}, or the inputs may be"
  " normalised in another way."
)
_TOO_LOW = (
  " A head that has learnt nothing should not beat guessing: see whether the"
  " inputs hold the answer."
)
