"""Are there enough texts that belong together?"""

import numpy as np

from jft.preflight.finding import Finding
from jft.typing import Mapping

FEW = 100
"""Fewer training pairs than this are told."""


def check(labels: Mapping[str, np.ndarray]) -> list[Finding]:
  """Judges how many pairs each split has.

  Args:
    labels: {split: [n]}, "train" among them; what they are does not matter.
  """
  sizes = ", ".join(f"{len(x):,} {split}" for split, x in labels.items())
  few = len(labels["train"]) < FEW
  advice = " A model learns next to nothing from so few." if few else ""
  return [
    Finding(
      "labels",
      "warning" if few else "ok",
      f"pairs of texts that belong together: {sizes}.{advice}",
      {split: len(x) for split, x in labels.items()},
    )
  ]
