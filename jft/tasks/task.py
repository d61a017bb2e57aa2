"""What a task is: all that differs from one kind of answer to another."""

import dataclasses

import numpy as np

from jft.typing import (
  Any,
  Array,
  Batch,
  Callable,
  Float,
  LossFn,
  Mapping,
  Outputs,
  Sequence,
)

RESERVED = ("label", "mask", "id", "part", "texts")
"""Batch entries that the model never sees."""


@dataclasses.dataclass(frozen=True)
class Expected:
  """The loss of a model that has learnt nothing.

  Attributes:
    even: of guessing without any knowledge; told: in words.
    informed: of knowing how frequent the answers are; informed_by: by what.
    margin: a loss this much above them is no surprise yet.
    advice: what may be wrong where a loaded head does worse.
  """

  even: float
  told: str
  informed: float
  informed_by: str
  margin: float
  advice: str


def logits(outputs: Outputs) -> dict[str, Array]:
  """Keeps an example's logits."""
  return {"logits": outputs["logits"]}


def _nothing(seen: Any) -> dict[str, float]:
  return {}


def _no_report(seen: Any, names: Sequence[str]) -> dict[str, Any]:
  return {}


def _logit_rows(seen: Any, names: Sequence[str]) -> list[dict[str, Any]]:
  return [{"logits": row.tolist()} for row in seen.logits]


def _text(label: Any, names: Sequence[str]) -> str:
  return str(np.asarray(label).tolist())


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
  """The pure parts that turn a model into a trainable objective.

  The first four run on the device, on one batch; the others on the host, in
  numpy, and have a form that says nothing for a task of one's own.

  Attributes:
    loss: (outputs, batch) -> Float["b"].
    metrics: {name: (outputs, batch) -> Float["b"]}.
    weight: batch -> Float["b"], how much an example counts in a mean, such as
      its supervised tokens; None: all count the same.
    importance: batch -> Float["b"], a factor on that in training's loss alone,
      such as its class's weight; None: 1.
    training_loss: as `loss`, where training minimises another one than
      evaluation reports; None: the same.
    across: whether training's loss compares a batch's examples, and takes
      `axis_name` to see those of all devices.
    soft_labels: whether `batch["label"]` may be shares, Float["b k"].
    kept: outputs -> {name: Array["b ..."]}, what evaluation keeps.
    right: the metric that is 1 where an example is right, "" without one.
    summary: what evaluation saw -> {metric: value} that are no means.
    report: (what evaluation saw, names) -> what the report page shows.
    rows: (what was seen, names) -> a prediction for each example.
    answer: (label, names) -> an example's label in a few words.
    expected: (training labels, number of classes) -> `Expected`, or None.
    least_loss: number of classes -> the lowest mean loss there is.
    name: of a config's `task.name`.
  """

  loss: LossFn
  metrics: Mapping[str, LossFn]
  weight: Callable[[Batch], Float[Array, "b"]] | None = None
  importance: Callable[[Batch], Float[Array, "b"]] | None = None
  training_loss: Callable[..., Float[Array, "b"]] | None = None
  across: bool = False
  soft_labels: bool = False
  kept: Callable[[Outputs], dict[str, Array]] = logits
  right: str = ""
  summary: Callable[[Any], dict[str, float]] = _nothing
  report: Callable[[Any, Sequence[str]], dict[str, Any]] = _no_report
  rows: Callable[[Any, Sequence[str]], list[dict[str, Any]]] = _logit_rows
  answer: Callable[[Any, Sequence[str]], str] = _text
  expected: Callable[[Any, int], Expected | None] = lambda labels, k: None
  least_loss: Callable[[int], float] = lambda k: 0.0
  name: str = "custom"

  @property
  def minimised(self) -> Callable[..., Float[Array, "b"]]:
    """The loss of training."""
    return self.training_loss or self.loss

  def weights(self, batch: Batch) -> Float[Array, "b"]:
    """How much each example counts; 0 for padding."""
    if self.weight is None:
      return batch["mask"]
    return batch["mask"] * self.weight(batch)

  def loss_weights(self, batch: Batch) -> Float[Array, "b"]:
    """How much each example counts in training's loss; 0 for padding."""
    weights = self.weights(batch)
    return (
      weights if self.importance is None else (weights * self.importance(batch))
    )


def model_inputs(batch: Batch) -> Any:
  """Returns what the model reads: the image, or the dict of token arrays.

  >>> sorted(model_inputs({"input_ids": 1, "attention_mask": 2, "label": 3}))
  ['attention_mask', 'input_ids']
  """
  if "image" in batch:
    return batch["image"]
  return {name: x for name, x in batch.items() if name not in RESERVED}
