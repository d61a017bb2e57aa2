"""Token classification: a tag for each word, and the spans the tags mark."""

import types

import jax
import jax.numpy as jnp
import numpy as np

from jft.spans import span_report, spans
from jft.tasks import classes, per_token
from jft.tasks.task import Expected, Task
from jft.typing import IGNORED, Any, Array, Outputs, Sequence

BETTER = types.MappingProxyType(
  {
    "val/f1": "max",
    "val/precision": "max",
    "val/recall": "max",
    "val/token_accuracy": "max",
    "val/loss": "min",
  }
)
_SHOWN = 60


def token_classification(
  tag_names: Sequence[str],
  *,
  label_smoothing: float = 0.0,
  class_weights: classes.Weights | None = None,
) -> Task:
  """A tag for each word: cross-entropy, and F1 of the spans.

  The labels are Int["b n"], `IGNORED` where a token is no word's first. An
  example's loss is the mean over its words, and counts as many times as it has
  words: the loss of a batch is the mean over all its words, on all devices.

  Args:
    tag_names: such as ("B-per", "I-per", "O"), in index order.
    label_smoothing: share of the target spread over all tags.
    class_weights: how much a word of each tag counts in training's loss, which
      is divided by the sum of what all count.
  """
  names = tuple(tag_names)
  loss = per_token.make_loss(label_smoothing)
  weighted, importance = None, None
  if class_weights is not None:
    weighted = per_token.make_loss(label_smoothing, class_weights)
    importance = per_token.make_importance(class_weights)
  return Task(
    loss=loss,
    importance=importance,
    training_loss=weighted,
    metrics={"token_accuracy": per_token.accuracy},
    weight=per_token.count,
    kept=_kept,
    right="token_accuracy",
    summary=lambda seen: _summary(seen, names),
    report=_report,
    rows=_rows,
    answer=_answer,
    expected=_expected,
    least_loss=lambda k: classes.least_loss(k, label_smoothing=label_smoothing),
    name="token_classification",
  )


def _kept(outputs: Outputs) -> dict[str, Array]:
  probabilities = jax.nn.softmax(outputs["logits"].astype(jnp.float32))
  return {
    "tag": jnp.argmax(outputs["logits"], axis=-1),
    "probability": probabilities.max(-1),
  }


def sentences(seen: Any, rows: np.ndarray) -> list[np.ndarray]:
  """Returns what stands at each word, the parts of a sentence joined.

  Args:
    seen: what evaluation saw: `label`, and `part`, 0 where a sentence begins.
    rows: ["n m"], of every token.
  """
  label = np.asarray(seen.label)
  part = np.zeros(len(label), int) if seen.part is None else seen.part
  found: list[list[np.ndarray]] = []
  for row, asked, number in zip(rows, label != IGNORED, part, strict=True):
    if number == 0 or not found:
      found.append([])
    found[-1].append(row[asked])
  return [np.concatenate(parts) for parts in found]


def _report_of(seen: Any, names: Sequence[str]) -> dict[str, Any]:
  true, predicted = (
    [[names[int(i)] for i in row] for row in sentences(seen, rows)]
    for rows in (np.asarray(seen.label), seen.outputs["tag"])
  )
  return span_report(true, predicted)


def _summary(seen: Any, names: Sequence[str]) -> dict[str, float]:
  found = _report_of(seen, names)
  return {name: found[name] for name in ("f1", "precision", "recall")}


def _report(seen: Any, names: Sequence[str]) -> dict[str, Any]:
  return {"title": "Spans", "classes": _report_of(seen, names)["classes"]}


def _rows(seen: Any, names: Sequence[str]) -> list[dict[str, Any]]:
  """Tags, their probabilities and the spans of each sentence."""
  found = zip(
    sentences(seen, seen.outputs["tag"]),
    sentences(seen, seen.outputs["probability"]),
    strict=True,
  )
  return [_row([names[int(i)] for i in tags], p.tolist()) for tags, p in found]


def _row(tags: list[str], probabilities: list[float]) -> dict[str, Any]:
  return {
    "tags": tags,
    "tag_probabilities": [round(p, 6) for p in probabilities],
    "spans": [
      {"type": kind, "start": start, "end": end}
      for kind, start, end in spans(tags)
    ],
  }


def _answer(label: Any, names: Sequence[str]) -> str:
  text = " ".join(names[int(i)] for i in np.asarray(label) if i != IGNORED)
  return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _expected(labels: np.ndarray, k: int) -> Expected:
  return classes.expected(labels, k)
