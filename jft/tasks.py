"""A task: what the model reads from a batch, its loss and its metrics.

All are pure functions of (outputs, batch) that return one number an example.
"""

import dataclasses
import functools

from jft import losses, metrics
from jft.typing import (
  Any,
  Array,
  Batch,
  Callable,
  Float,
  LossFn,
  Mapping,
  Outputs,
)

RESERVED = ("label", "mask", "id")
"""Batch entries that the model never sees."""


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
  """The pure parts that turn a model into a trainable objective.

  Attributes:
    loss: (outputs, batch) -> Float["b"].
    metrics: {name: (outputs, batch) -> Float["b"]}.
  """

  loss: LossFn
  metrics: Mapping[str, LossFn]


def classification(*, label_smoothing: float = 0.0) -> Task:
  """One label an example: softmax cross-entropy and accuracy."""
  return Task(
    loss=_from_logits(
      functools.partial(losses.softmax_cross_entropy, smoothing=label_smoothing)
    ),
    metrics={"accuracy": _from_logits(metrics.accuracy)},
  )


def model_inputs(batch: Batch) -> Any:
  """Returns what the model reads: the image, or the dict of token arrays.

  >>> sorted(model_inputs({"input_ids": 1, "attention_mask": 2, "label": 3}))
  ['attention_mask', 'input_ids']
  """
  if "image" in batch:
    return batch["image"]
  return {name: x for name, x in batch.items() if name not in RESERVED}


def _from_logits(fn: Callable[..., Float[Array, "b"]]) -> LossFn:
  def of_batch(outputs: Outputs, batch: Batch) -> Float[Array, "b"]:
    return fn(outputs["logits"], batch["label"])

  return of_batch
