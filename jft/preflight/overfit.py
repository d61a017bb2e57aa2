"""Can the run learn one batch by heart? What cannot will not learn more."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jft.build import Run
from jft.preflight.finding import Finding
from jft.preflight.gradient import own
from jft.tuning.freeze import HEAD
from jft.typing import Batch

STEPS = 100
ENOUGH = 0.1
"""The loss falls below this share of where it started, or all is right."""


def check(run: Run, batch: Batch, steps: int = STEPS) -> list[Finding]:
  """Trains on one batch with the run's own step, at its peak learning rate.

  Args:
    run: as built; its state is left as it is.
    batch: from `run.splits.train`, used again and again.
    steps: updates at most; fewer where the batch is learnt before.
  """
  least = run.task.least_loss(len(run.label_names))
  losses, accuracies = train(run, batch, steps, least)
  return [judge(losses, accuracies, least, probe=_is_probe(run))]


def train(
  run: Run, batch: Batch, steps: int, least: float = 0.0
) -> tuple[list[float], list[float]]:
  """Returns the loss and the share of right answers before each update.

  There are no shares where no answer is simply right or wrong. Stops where the
  batch is learnt; `least` is the lowest loss there is.

  The last phase's step is used, which trains the most; `lr_scale` takes out
  the schedule's shape, so that a warm-up longer than `steps` hides nothing. A
  batch that augmentation changes at every update cannot be learnt by heart: it
  is left out.
  """
  step, last = run.steps[-1], len(run.steps) - 1
  if run.augment is not None:
    step = run.make_step(last, run.tuning.tx(last), augmented=False)
  placed, state = step.place(batch), step.replicate(own(run.state))
  scales = _to_peak(run, steps)
  losses, accuracies = [], []
  for scale in scales:
    scaled = jnp.full_like(state.lr_scale, scale)
    state, metrics = step(dataclasses.replace(state, lr_scale=scaled), placed)
    losses.append(float(metrics["loss"]))
    if run.task.right:
      accuracies.append(float(metrics[run.task.right]))
    if not losses[-1] < float("inf") or _learnt(losses, accuracies, least):
      break
  return losses, accuracies


def judge(
  losses: list[float],
  accuracies: list[float],
  least: float = 0.0,
  *,
  probe: bool,
) -> Finding:
  """Judges how far the loss fell.

  Args:
    losses, accuracies: before each update; the latter may be empty.
    least: the lowest loss there is.
    probe: is only the head trained?
  """
  details = {"losses": losses, "accuracies": accuracies, "floor": least}
  fall = f"loss {losses[0]:.3f} -> {losses[-1]:.3f}"
  if not losses[-1] < float("inf"):
    return Finding(
      "overfit",
      "error",
      f"on one batch, over and over, the loss is no number any more after"
      f" {len(losses) - 1} updates: lower optim.lr, set optim.clip_norm or warm"
      " up.",
      {**details, "losses": [x for x in losses if x < float("inf")]},
    )
  told = f"one batch, {len(losses) - 1} updates: {fall}"
  if accuracies:
    told += f", accuracy {accuracies[-1]:.3f}"
  if _learnt(losses, accuracies, least):
    return Finding("overfit", "ok", f"{told}.", details)
  why = (
    " Only the head is trained: a linear probe need not be able to, and this"
    " may be as far as these features go. Else"
    if probe
    else " A model that learns should manage:"
  )
  advice = (
    " raise optim.lr"
    if losses[-1] > 0.5 * losses[0]
    else " try another optim.lr (a loss that jumps wants a lower one)"
  )
  return Finding(
    "overfit",
    "warning",
    f"{told}.{why}{advice}, train more of the model (tune.preset), and see"
    " whether equal inputs have different labels.",
    details,
  )


def _learnt(losses: list[float], accuracies: list[float], least: float) -> bool:
  # Twice in a row: with dropout, one lucky draw proves little.
  right = len(accuracies) > 1 and min(accuracies[-2:]) == 1.0
  left = (losses[-1] - least) / max(losses[0] - least, 1e-6)
  return left < ENOUGH or (right and left < 0.5)


def _to_peak(run: Run, steps: int) -> list[float]:
  """The factor that makes each step's rate the schedule's highest."""
  tuning = run.tuning
  label = HEAD if HEAD in tuning.rates else min(tuning.rates)
  rate, total = tuning.rates[label], run.total_steps
  rates = np.asarray(jax.vmap(rate)(jnp.arange(total)), np.float64)
  mine = np.broadcast_to(rates, total)[np.minimum(np.arange(steps), total - 1)]
  peak = float(rates.max())
  return [peak / x if x else 0.0 for x in mine.tolist()]


def _is_probe(run: Run) -> bool:
  return run.tuning.phases[-1].labels == {HEAD}
