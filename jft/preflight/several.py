"""Is there enough of each class, where an example may be of several?"""

import numpy as np

from jft.preflight.finding import Finding, some
from jft.preflight.labels import FEW
from jft.typing import Mapping, Sequence


def check(
  labels: Mapping[str, np.ndarray], names: Sequence[str]
) -> list[Finding]:
  """Checks the labels of every split.

  Args:
    labels: {split: Float[n k]} of zeros and ones, "train" among them.
    names: of the k classes, in index order.
  """
  counts = {split: rows.sum(0).astype(int) for split, rows in labels.items()}
  details = {
    "counts": {
      split: dict(zip(names, n.tolist(), strict=True))
      for split, n in counts.items()
    }
  }
  train, n = counts["train"], len(labels["train"])
  for what, times in (("no", train), ("every", n - train)):
    if (times == 0).any():
      shown = some([names[i] for i in np.flatnonzero(times == 0).tolist()])
      return [
        Finding(
          "labels",
          "error",
          f"{what} training example is of {shown}: there is nothing to learn"
          " about it. Add others, or leave it out of data.label_names.",
          details,
        )
      ]
  few = np.flatnonzero(np.minimum(train, n - train) < FEW).tolist()
  if few:
    shown = some([f"{names[i]} ({train[i]:,} of {n:,})" for i in few])
    return [
      Finding(
        "labels",
        "warning",
        f"few training examples tell {shown} apart; add others.",
        details,
      )
    ]
  sizes = ", ".join(f"{len(x):,} {split}" for split, x in labels.items())
  mean = labels["train"].sum(1).mean()
  return [
    Finding(
      "labels",
      "ok",
      f"{sizes}; {len(names)} classes, {train.min():,} to {train.max():,}"
      f" training examples each, {mean:.1f} classes an example.",
      details,
    )
  ]
