"""Several labels an example, or none: a yes or no for each class."""

import functools
import math
import types

import jax.numpy as jnp
import numpy as np

from jft import losses, metrics
from jft.tasks.classes import Weights
from jft.tasks.task import Expected, Task
from jft.typing import Any, Array, Batch, Callable, Float, Outputs, Sequence

BETTER = types.MappingProxyType(
  {
    "val/micro_f1": "max",
    "val/macro_f1": "max",
    "val/map": "max",
    "val/exact_match": "max",
    "val/loss": "min",
  }
)


def multi_label(
  *,
  loss: Callable[..., Float[Array, "b"]] = losses.sigmoid_cross_entropy,
  pos_weight: Weights | None = None,
) -> Task:
  """A yes or no for each class: binary cross-entropy, F1, average precision.

  The labels are Float["b k"]. A class is predicted where its probability
  exceeds one half. `exact_match` is 1 where all answers of an example are
  right; over a whole split there are `micro_f1`, `macro_f1` and `map`, the mean
  of the classes' average precisions.

  Args:
    loss: (logits, label) -> Float["b"].
    pos_weight: how many times a yes of each class counts in training's loss,
      which is then binary cross-entropy.
  """
  training = None
  if pos_weight is not None:
    weight = np.asarray(pos_weight, np.float32)
    training = functools.partial(
      losses.sigmoid_cross_entropy, pos_weight=weight
    )
  return Task(
    loss=functools.partial(_of_batch, loss),
    metrics={"exact_match": _exact_match},
    training_loss=training and functools.partial(_of_batch, training),
    right="exact_match",
    summary=_summary,
    report=_report,
    rows=_rows,
    answer=_answer,
    expected=functools.partial(_expected, loss),
    name="multi_label",
  )


def _of_batch(
  loss: Callable[..., Float[Array, "b"]], outputs: Outputs, batch: Batch
) -> Float[Array, "b"]:
  return loss(outputs["logits"], batch["label"])


def _exact_match(outputs: Outputs, batch: Batch) -> Float[Array, "b"]:
  logits = outputs["logits"]
  right = ((logits > 0) == (batch["label"] > 0.5)).all(-1)
  return (right & ~jnp.isnan(logits).any(-1)).astype(jnp.float32)


def _summary(seen: Any) -> dict[str, float]:
  label = np.asarray(seen.label) > 0.5
  found = metrics.multi_label_report(label, seen.logits, range(label.shape[1]))
  return {name: found[name] for name in ("micro_f1", "macro_f1", "map")}


def _report(seen: Any, names: Sequence[str]) -> dict[str, Any]:
  label = np.asarray(seen.label) > 0.5
  return metrics.multi_label_report(label, seen.logits, names)


def _rows(seen: Any, names: Sequence[str]) -> list[dict[str, Any]]:
  logits = np.asarray(seen.logits, np.float64)
  return [_row(1 / (1 + np.exp(-row)), names) for row in logits]


def _row(probabilities: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
  shown = [round(p, 6) for p in probabilities.tolist()]
  return {
    "labels": [n for n, p in zip(names, shown, strict=True) if p > 0.5],
    "probabilities": dict(zip(names, shown, strict=True)),
  }


def _answer(label: Any, names: Sequence[str]) -> str:
  return ", ".join(names[i] for i in np.flatnonzero(label).tolist()) or "none"


def _expected(loss: Callable[..., Any], labels: np.ndarray, k: int) -> Expected:
  target = np.asarray(labels, np.float32)
  share = np.clip(target.mean(0), 1e-6, 1 - 1e-6)
  even, informed = (
    float(np.mean(np.asarray(loss(np.zeros_like(target) + x, target))))
    for x in (np.float32(0), np.log(share / (1 - share)))
  )
  told = "ln 2 = " if math.isclose(even, math.log(2), rel_tol=1e-5) else ""
  return Expected(
    even,
    f"even guesses have {told}{even:.3f}",
    informed,
    "the class frequencies",
    0.5,
    "its classes may stand in another order than data.label_names",
  )
