"""Classification: one label an example."""

import functools
import math
import types

import numpy as np

from jft import losses, metrics
from jft.tasks.task import Expected, Task
from jft.typing import (
  Any,
  Array,
  Batch,
  Callable,
  Float,
  LossFn,
  Outputs,
  Sequence,
)

BETTER = types.MappingProxyType({"val/accuracy": "max", "val/loss": "min"})


def classification(*, label_smoothing: float = 0.0) -> Task:
  """One label an example: softmax cross-entropy and accuracy."""
  return Task(
    loss=_from_logits(
      functools.partial(losses.softmax_cross_entropy, smoothing=label_smoothing)
    ),
    metrics={"accuracy": _from_logits(metrics.accuracy)},
    soft_labels=True,
    right="accuracy",
    report=_report,
    rows=_rows,
    answer=_answer,
    expected=expected,
    least_loss=functools.partial(least_loss, label_smoothing),
    name="classification",
  )


def expected(labels: np.ndarray, k: int) -> Expected:
  """The losses of even guesses and of knowing the classes' frequencies.

  Args:
    labels: Int["n"], of training.
    k: how many classes.
  """
  even = math.log(k)
  return Expected(
    even,
    f"even guesses have ln K = {even:.3f}",
    metrics.entropy(np.bincount(labels, minlength=k)),
    "the class frequencies",
    0.5,
    "its classes may stand in another order than data.label_names",
  )


def least_loss(smoothing: float, k: int) -> float:
  """Returns the least mean loss there is: above 0 with label smoothing.

  >>> least_loss(0.0, 2)
  0.0
  >>> round(least_loss(0.2, 2), 3)  # The entropy of (0.9, 0.1).
  0.325
  """
  rest = smoothing / k
  shares = np.array([1 - smoothing + rest, *[rest] * (k - 1)])
  return metrics.entropy(shares)


def softmax(logits: np.ndarray) -> np.ndarray:
  """Returns probabilities in float64, along the last axis."""
  shifted = np.exp(logits - logits.max(-1, keepdims=True), dtype=np.float64)
  return shifted / shifted.sum(-1, keepdims=True)


def _report(seen: Any, names: Sequence[str]) -> dict[str, Any]:
  """Precision, recall and F1 by class; see `classification_report`."""
  label = np.asarray(seen.label)
  return metrics.classification_report(label, seen.logits.argmax(-1), names)


def _rows(seen: Any, names: Sequence[str]) -> list[dict[str, Any]]:
  return [_row(row, names) for row in softmax(seen.logits)]


def _row(probabilities: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
  best = int(probabilities.argmax())
  return {
    "label": names[best],
    "probability": round(float(probabilities[best]), 6),
    "probabilities": {
      label: round(float(p), 6)
      for label, p in zip(names, probabilities, strict=True)
    },
  }


def _answer(label: Any, names: Sequence[str]) -> str:
  number = int(label)
  return names[number] if 0 <= number < len(names) else f"{number}, no class"


def _from_logits(fn: Callable[..., Float[Array, "b"]]) -> LossFn:
  def of_batch(outputs: Outputs, batch: Batch) -> Float[Array, "b"]:
    return fn(outputs["logits"], batch["label"])

  return of_batch
