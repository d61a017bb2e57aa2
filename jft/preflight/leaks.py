"""Equal inputs: in training and a held-out split, or with two labels."""

import numpy as np

from jft.data.duplicates import groups, matches
from jft.data.hashing import Digests
from jft.data.labels import kind_of
from jft.preflight.finding import SHOWN, Finding, Level, percent
from jft.preflight.shown import show
from jft.typing import Any, Mapping

VAIN = 0.5
"""Above this share of a held-out split its metric says nothing."""


def check(
  sources: Mapping[str, Any], digests: Mapping[str, Digests]
) -> list[Finding]:
  """Looks for equal inputs across the splits and within training.

  Args:
    sources: {split: source}, "train" among them.
    digests: {split: its hashes}.
  """
  found = [
    finding
    for split in sources
    if split != "train"
    for finding in _leaks(sources, digests, split)
  ]
  if not found:
    held = " or ".join(split for split in sources if split != "train")
    note = _sampled(digests)
    found = [Finding("leaks", "ok", f"no input of {held} is in train.{note}")]
  return found + _within(sources["train"], digests["train"])


def _leaks(
  sources: Mapping[str, Any], digests: Mapping[str, Digests], split: str
) -> list[Finding]:
  ours, theirs = digests[split], digests["train"]
  found = matches(ours.rows, theirs.rows)
  hits = np.flatnonzero(found >= 0)
  if not len(hits):
    return []
  share = len(hits) / len(found)
  pairs = [
    (int(ours.index[i]), int(theirs.index[found[i]])) for i in hits[:SHOWN]
  ]
  advice = (
    f"The {split} metrics would tell what was learnt by heart. {_advice(split)}"
  )
  return [
    Finding(
      "leaks",
      "error" if share >= VAIN else "warning",
      f"{len(hits):,} of {len(found):,} {split} examples"
      f" ({percent(len(hits), len(found))}) are in train too, input for input."
      f"{_sampled(digests)} {advice}\n"
      + "\n".join(
        f"{show(sources[split], i)} = {show(sources['train'], j)}"
        for i, j in pairs
      ),
      {
        "split": split,
        "count": len(hits),
        "share": share,
        "pairs": [list(pair) for pair in pairs],
      },
    )
  ]


def _advice(split: str) -> str:
  key = {"val": "validation"}.get(split, split)
  return (
    f"Take them out of train, or leave data.{key} empty and set"
    f" data.{key}_fraction: that split keeps equal inputs together."
  )


def _within(source: Any, digests: Digests) -> list[Finding]:
  """Equal inputs of training: with different labels, or simply repeated."""
  equal = groups(digests.rows)
  found = []
  if digests.labels is not None:
    found += _conflicts(source, digests.index, digests.labels, equal)
  repeated = sum(len(group) - 1 for group in equal)
  if repeated:
    n = len(digests.index)
    found.append(
      Finding(
        "repeats",
        "note",
        f"{repeated:,} of {n:,} training examples ({percent(repeated, n)})"
        " repeat the input of another one, and so count double.",
        {"count": repeated, "share": repeated / n},
      )
    )
  return found


def _conflicts(
  source: Any,
  index: np.ndarray,
  labels: np.ndarray,
  equal: list[np.ndarray],
) -> list[Finding]:
  torn = [group for group in equal if len(np.unique(labels[group])) > 1]
  if not torn:
    return []
  lines = []
  for group in torn[:SHOWN]:
    other = group[labels[group] != labels[group[0]]][0]
    lines.append(
      " = ".join(
        f"{show(source, int(index[i]))}{_told(source, labels[i])}"
        for i in (group[0], other)
      )
    )
  return [
    Finding(
      "conflicts",
      *_verdict(kind_of(source), len(torn), sum(map(len, torn)), lines),
      {
        "inputs": len(torn),
        "examples": [index[group].tolist() for group in torn[:100]],
      },
    )
  ]


def _verdict(
  kind: str, inputs: int, examples: int, lines: list[str]
) -> tuple[Level, str]:
  told = f"inputs that have more than one label: {inputs:,}, in {examples:,}"
  told += " training examples."
  listed = "\n" + "\n".join(lines)
  if kind == "number":
    return "note", f"{told} The best answer is their mean.{listed}"
  advice = "No model can learn both: keep the right one."
  return "warning", f"{told} {advice}{listed}"


def _told(source: Any, label: Any) -> str:
  """A class by its name, a number; nothing of tags, which are a row each."""
  kind, names = kind_of(source), source.label_names
  if kind == "tags":
    return ""
  return f" ({names[label] if names and kind == 'class' else label})"


def _sampled(digests: Mapping[str, Digests]) -> str:
  parts = [
    f"{len(d.index):,} of {d.examples:,} {split}"
    for split, d in digests.items()
    if d.sampled
  ]
  return f" Looked at {', '.join(parts)} examples." if parts else ""
