"""Are there enough spans of every type to be learnt?"""

import numpy as np

from jft.preflight.finding import Finding, some
from jft.preflight.labels import FEW
from jft.typing import Mapping, Sequence


def check(
  labels: Mapping[str, np.ndarray], names: Sequence[str]
) -> list[Finding]:
  """Checks the tags of every split.

  Args:
    labels: {split: Int[n]}, of all words, "train" among them.
    names: of the tags, in index order.
  """
  types = sorted({name[2:] for name in names if name != "O"})
  counts = {
    split: {kind: _words(values, names, kind) for kind in types}
    for split, values in labels.items()
  }
  if not types:
    return [
      Finding(
        "labels",
        "error",
        "every word's tag is O: there is no span to find. See which column"
        " holds the tags (data.label_column).",
      )
    ]
  few = sorted((n, kind) for kind, n in counts["train"].items() if n < FEW)
  if few:
    shown = some([f"{kind} ({n})" for n, kind in few])
    return [
      Finding(
        "labels",
        "warning" if few[0][0] else "error",
        f"few training words are of {shown}: nothing is learnt from so few. Add"
        " sentences with them, or leave the type out.",
        {"words": counts},
      )
    ]
  sizes = ", ".join(f"{len(x):,} {split}" for split, x in labels.items())
  spread = counts["train"].values()
  return [
    Finding(
      "labels",
      "ok",
      f"{sizes} words; {len(types)} types of spans, {min(spread):,} to"
      f" {max(spread):,} training words each.",
      {"words": counts},
    )
  ]


def _words(values: np.ndarray, names: Sequence[str], kind: str) -> int:
  ids = [i for i, name in enumerate(names) if name[2:] == kind]
  return int(np.isin(values, ids).sum())
