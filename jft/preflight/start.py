"""The loss before training: about ln K where the head is new."""

import dataclasses
import math

import numpy as np

from jft import evaluation
from jft.build import Run
from jft.data import index_at
from jft.preflight.finding import Finding
from jft.preflight.labels import entropy
from jft.typing import Batch

FACTOR, MARGIN = 1.5, 0.5
"""A loss above FACTOR x expected + MARGIN is told."""


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


def check(run: Run, counts: np.ndarray) -> list[Finding]:
  """Evaluates the untrained model on one batch.

  Args:
    run: as built.
    counts: Int[k], training examples of each class.
  """
  seen = evaluation.predict(run.eval_step, run.state.variables, [batch_of(run)])
  fresh = is_fresh(run)
  return [judge(seen.values["loss"], seen.logits, counts, fresh=fresh)]


def is_fresh(run: Run) -> bool:
  """Was the head initialised, not loaded?"""
  rows = [
    row
    for row in run.net.report
    if row.name and row.name.startswith("params/head/")
  ]
  return all(row.status == "reinit" for row in rows)


def judge(
  losses: np.ndarray, logits: np.ndarray, counts: np.ndarray, *, fresh: bool
) -> Finding:
  """Compares the first loss with what a model that knows nothing has.

  That is ln K for even guesses, and the classes' entropy for one that knows
  how frequent each is.

  Args:
    losses: Float[n].
    logits: Float[n k].
    counts: Int[k] of the training labels.
    fresh: is the head new?
  """
  even, informed = math.log(len(counts)), entropy(counts)
  loss = float(np.mean(losses, dtype=np.float64))
  details = {
    "loss": loss,
    "ln_classes": even,
    "class_entropy": informed,
    "fresh_head": fresh,
    "examples": len(losses),
  }
  if not (np.isfinite(losses).all() and np.isfinite(logits).all()):
    bad = int((~(np.isfinite(losses) & np.isfinite(logits).all(1))).sum())
    return Finding(
      "start_loss",
      "error",
      f"the untrained model's loss is not finite for {bad} of {len(losses)}"
      " examples. Look for NaN or infinite weights (jft inspect SOURCE) and"
      " inputs, and try model.dtype=float32.",
      {**details, "loss": None, "not_finite": bad},
    )
  head = "a new" if fresh else "the loaded"
  known = f"{loss:.3f} with {head} head; even guesses have ln K = {even:.3f}"
  if abs(informed - even) > 0.05:
    known += f", the class frequencies {informed:.3f}"
  level, advice = "ok", ""
  if loss > FACTOR * max(even, informed) + MARGIN:
    level, advice = "warning", _TOO_HIGH[fresh]
  elif fresh and loss < 0.5 * min(even, informed):
    level, advice = "warning", _TOO_LOW
  return Finding("start_loss", level, f"{known}.{advice}", details)


_TOO_HIGH = {
  True: " The new head is sure of what it cannot know yet: its inputs may be"
  " too large (check the normalisation in the view below), and the first"
  " steps will mostly undo this (warm up, or lower optim.lr).",
  False: " A trained head should do better than guessing: its classes may"
  " stand in another order than data.label_names, or the inputs may be"
  " normalised in another way.",
}
_TOO_LOW = (
  " A head that has learnt nothing should not beat guessing: see whether the"
  " inputs hold the answer."
)
