"""Are the targets of a regression numbers that can be learnt?"""

import numpy as np

from jft.preflight.finding import Finding
from jft.tasks import Expected
from jft.typing import Any, Mapping

LARGE = 10.0
"""Targets of this size, as the model sees them, are far from a new head's."""


def check(
  labels: Mapping[str, np.ndarray], known: Expected | None
) -> list[Finding]:
  """Checks the targets of every split.

  Args:
    labels: {split: Float[n]}, "train" among them.
    known: the losses to expect before training.
  """
  details = {split: _facts(values) for split, values in labels.items()}
  found = []
  for split, values in labels.items():
    if np.ptp(values) == 0:
      found.append(_constant(split, values))
  if any(f.level == "error" for f in found):
    return found
  train = details["train"]
  if known is not None and known.even > LARGE**2:
    found.append(_large(train))
  outside = {
    split: int(((x < train["min"]) | (x > train["max"])).sum())
    for split, x in labels.items()
  }
  if any(outside.values()):
    told = ", ".join(f"{n:,} {split}" for split, n in outside.items() if n)
    found.append(
      Finding(
        "labels",
        "note",
        f"targets beyond those of training ({train['min']:g} to"
        f" {train['max']:g}): {told}.",
        {"outside": outside},
      )
    )
  sizes = ", ".join(f"{len(x):,} {split}" for split, x in labels.items())
  told = (
    f"{sizes}; targets from {train['min']:g} to {train['max']:g}, mean"
    f" {train['mean']:.4g}, standard deviation {train['std']:.4g}."
  )
  return [Finding("labels", "ok", told, details), *found]


def _large(facts: Mapping[str, Any]) -> Finding:
  return Finding(
    "labels",
    "warning",
    f"the targets are large (mean {facts['mean']:.4g}, standard deviation"
    f" {facts['std']:.4g}): a new head begins near 0 and takes long to get"
    f" there. Give task.target_range=({facts['min']:g}, {facts['max']:g}), and"
    " the model works between 0 and 1.",
    facts,
  )


def _facts(values: np.ndarray) -> dict[str, Any]:
  values = np.asarray(values, np.float64)
  return {
    "min": float(values.min()),
    "max": float(values.max()),
    "mean": float(values.mean()),
    "std": float(values.std()),
  }


def _constant(split: str, values: np.ndarray) -> Finding:
  told = f"all {len(values):,} {split} targets are {values[0]:g}"
  if split == "train":
    return Finding(
      "labels",
      "error",
      f"{told}: there is nothing to learn. See data.label_column.",
    )
  return Finding(
    "labels", "warning", f"{told}: their correlation is not defined."
  )
