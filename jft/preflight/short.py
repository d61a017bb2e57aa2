"""The short form: what one evaluation batch and the digests tell."""

import numpy as np

from jft.build import Run
from jft.data.hashing import Digests
from jft.data.labels import kind_of
from jft.preflight import (
  documents,
  labels,
  leaks,
  numbers,
  pairs,
  several,
  start,
  tags,
)
from jft.preflight.finding import Finding, guarded
from jft.tasks import LANGUAGE
from jft.typing import Any


def quick(run: Run) -> tuple[Finding, ...]:
  """Checks what costs next to nothing: before every run's first step.

  Labels and class counts, equal inputs across the splits and with different
  labels, and the loss before training: one evaluation batch, of a shape that
  the run compiles for anyway.

  Args:
    run: as built; left as it is.

  Returns:
    Findings in the order of the checks; `refuse` raises for the errors.
  """
  found = of_data(run)
  if any(f.level == "error" and f.check == "labels" for f in found):
    return found  # A loss of wrong labels would only say so again.
  known = _labels(run, "train")
  return (*found, *guarded("start_loss", lambda: start.check(run, known)))


def of_data(run: Run) -> tuple[Finding, ...]:
  """The part of `quick` that runs no model."""
  splits = {split: _labels(run, split) for split in run.splits.sources}
  return (
    *guarded("labels", lambda: _check(run, splits)),
    *guarded(
      "leaks", lambda: leaks.check(run.splits.sources, run.splits.digests)
    ),
  )


def _check(run: Run, splits: dict[str, np.ndarray]) -> list[Finding]:
  if run.task.name in ("regression", "similarity"):
    return numbers.check(splits, run.task.expected(splits["train"], 0))
  if run.task.name == "token_classification":
    return tags.check(splits, run.label_names)
  if run.task.name == "multi_label":
    return several.check(splits, run.label_names)
  if run.task.name == "retrieval":
    return pairs.check(splits)
  if run.task.name in LANGUAGE:
    return documents.check(run.facts["data"])
  return labels.check(splits, run.label_names)


def _labels(run: Run, split: str) -> np.ndarray:
  """Every label where the source knows them, else those that were hashed."""
  source: Any = run.splits.sources[split]
  if kind_of(source) == "document":
    return np.zeros(0, np.int64)
  if kind_of(source) == "tags":
    rows = [source[i]["label"] for i in range(len(source))]
    return np.concatenate(rows)
  known = getattr(source, "labels", None)
  if known is not None:
    return np.asarray(known)
  hashed: Digests = run.splits.digests[split]
  empty = np.zeros(0, np.int64)
  return empty if hashed.labels is None else hashed.labels
