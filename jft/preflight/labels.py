"""Are the labels classes of the model, and is there enough of each class?"""

import numpy as np

from jft.preflight.finding import Finding, percent, some
from jft.typing import Any, Mapping, Sequence

FEW = 5
"""A class with fewer training examples is hardly learnt."""
RARE = 20
"""A class this many times rarer than the largest is told."""


def check(
  labels: Mapping[str, np.ndarray], names: Sequence[str]
) -> list[Finding]:
  """Checks the labels of every split.

  Args:
    labels: {split: Int[n]}, "train" among them.
    names: of the classes, in index order.
  """
  outside = _outside(labels, len(names))
  if outside:
    return outside
  counts = {
    split: np.bincount(values, minlength=len(names))
    for split, values in labels.items()
  }
  found = _absent(counts, names) + _few(counts["train"], names)
  if found:
    return found
  train = counts["train"]
  sizes = ", ".join(f"{len(x):,} {split}" for split, x in labels.items())
  spread = f"{train.min():,} to {train.max():,} training examples each"
  return [
    Finding(
      "labels",
      "ok",
      f"{sizes}; {len(names)} classes, {spread}.",
      {"counts": _by_name(counts, names)},
    )
  ]


def _outside(labels: Mapping[str, np.ndarray], k: int) -> list[Finding]:
  found = []
  for split, values in labels.items():
    bad = np.flatnonzero((values < 0) | (values >= k))
    if len(bad):
      shown = [f"{split}[{i}]: {values[i]}" for i in bad]
      found.append(
        Finding(
          "labels",
          "error",
          f"{len(bad):,} of {len(values):,} {split} labels are none of the {k}"
          f" classes, which count from 0 to {k - 1} ({some(shown)}). Mend the"
          " labels, or give all classes in data.label_names.",
          {"split": split, "examples": bad[:100].tolist()},
        )
      )
  return found


def _absent(
  counts: Mapping[str, np.ndarray], names: Sequence[str]
) -> list[Finding]:
  absent = np.flatnonzero(counts["train"] == 0).tolist()
  if not absent:
    return []
  wanted = [
    f"{int(n[absent].sum()):,} {split} examples are of them"
    for split, n in counts.items()
    if n[absent].sum()
  ]
  return [
    Finding(
      "labels",
      "error",
      f"{len(absent)} of {len(names)} classes have no training example:"
      f" {some([names[i] for i in absent])}."
      + (f" {', '.join(wanted)}." if wanted else "")
      + " Add examples of them, raise data.train_examples, or leave the classes"
      " out of data.label_names.",
      {
        "classes": [names[i] for i in absent],
        "counts": _by_name(counts, names),
      },
    )
  ]


def _few(train: np.ndarray, names: Sequence[str]) -> list[Finding]:
  low = (train > 0) & ((train < FEW) | (train * RARE < train.max()))
  rare = sorted(np.flatnonzero(low).tolist(), key=lambda i: train[i])
  if not rare:
    return []
  shown = some([f"{names[i]} ({train[i]:,})" for i in rare])
  return [
    Finding(
      "labels",
      "warning",
      f"{len(rare)} of {len(names)} classes are rare in training: {shown},"
      f" against {train.max():,} of {names[int(train.argmax())]}"
      f" ({percent(train.max(), train.sum())} of all). Accuracy hides how such"
      " classes fare: look at the F1 of each in the report, or add examples.",
      {"classes": {names[i]: int(train[i]) for i in rare}},
    )
  ]


def _by_name(
  counts: Mapping[str, np.ndarray], names: Sequence[str]
) -> dict[str, Any]:
  return {
    split: dict(zip(names, n.tolist(), strict=True))
    for split, n in counts.items()
  }
