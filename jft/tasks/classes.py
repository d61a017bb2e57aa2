"""Classification: one label an example."""

import functools
import math
import types

import jax.numpy as jnp
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

OfClasses = Callable[..., Float[Array, "b"]]
"""(logits, label) -> the loss of each example."""

Weights = Sequence[float] | np.ndarray
"""A number for each class."""

BETTER = types.MappingProxyType({"val/accuracy": "max", "val/loss": "min"})


def classification(
  *,
  label_smoothing: float = 0.0,
  loss: OfClasses | None = None,
  class_weights: Weights | None = None,
  adjustment: Weights | None = None,
) -> Task:
  """One label an example: softmax cross-entropy and accuracy.

  Args:
    label_smoothing: share of the target spread over all classes.
    loss: (logits, label) -> Float["b"], another than cross-entropy.
    class_weights: how much an example of each class counts in training's loss,
      which is divided by the sum of what all count.
    adjustment: what is added to the logits in training's loss alone, such as
      the logarithms of the classes' shares; see `losses.logit_adjusted`.
  """
  usual = functools.partial(
    losses.softmax_cross_entropy, smoothing=label_smoothing
  )
  chosen = loss or usual
  known, least = (
    expected,
    functools.partial(least_loss, label_smoothing=label_smoothing),
  )
  if loss is not None:
    known, least = functools.partial(expected_of, loss), lambda k: 0.0
  return Task(
    loss=_from_logits(chosen),
    metrics={"accuracy": _from_logits(metrics.accuracy)},
    importance=None if class_weights is None else by_class(class_weights),
    training_loss=None
    if adjustment is None
    else _from_logits(_adjusted(chosen, adjustment)),
    soft_labels=True,
    right="accuracy",
    report=_report,
    rows=_rows,
    answer=_answer,
    expected=known,
    least_loss=least,
    name="classification",
  )


def by_class(weights: Weights) -> Callable[[Batch], Float[Array, "b"]]:
  """Returns batch -> the weight of each example's class.

  Of shares, as mixup makes them, it is their mean by the shares.

  Args:
    weights: of the k classes.
  """
  table = np.asarray(weights, np.float32)

  def of_batch(batch: Batch) -> Float[Array, "b"]:
    label = batch["label"]
    if label.ndim == 2:
      return label @ table
    return jnp.take(jnp.asarray(table), label, mode="clip")

  return of_batch


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


def expected_of(loss: OfClasses, labels: np.ndarray, k: int) -> Expected:
  """The same of any loss: its means where all logits are 0, and where they are
  the logarithms of the classes' shares.

  Args:
    loss: (logits, label) -> Float["b"].
    labels: Int["n"], of training.
    k: how many classes.
  """
  shares = np.bincount(labels, minlength=k) / len(labels)
  seen, classes = shares > 0, np.arange(k)
  known = np.log(np.where(seen, shares, 1e-9)).astype(np.float32)
  even, informed = (
    float(shares @ np.asarray(loss(jnp.tile(logits, (k, 1)), classes)))
    for logits in (jnp.zeros(k), jnp.asarray(known))
  )
  return Expected(
    even,
    f"even guesses have {even:.3f}",
    informed,
    "the class frequencies",
    0.5,
    "its classes may stand in another order than data.label_names",
  )


def least_loss(k: int, *, label_smoothing: float = 0.0) -> float:
  """Returns the least mean loss there is: above 0 with label smoothing.

  >>> least_loss(2)
  0.0
  >>> round(least_loss(2, label_smoothing=0.2), 3)  # The entropy of (0.9, 0.1).
  0.325
  """
  rest = label_smoothing / k
  shares = np.array([1 - label_smoothing + rest, *[rest] * (k - 1)])
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


def _adjusted(loss: OfClasses, adjustment: Weights) -> OfClasses:
  added = jnp.asarray(np.asarray(adjustment, np.float32))

  def of_logits(logits: Array, label: Array) -> Float[Array, "b"]:
    return loss(losses.logit_adjusted(logits, added), label)

  return of_logits


def _from_logits(fn: Callable[..., Float[Array, "b"]]) -> LossFn:
  def of_batch(outputs: Outputs, batch: Batch) -> Float[Array, "b"]:
    return fn(outputs["logits"], batch["label"])

  return of_batch
