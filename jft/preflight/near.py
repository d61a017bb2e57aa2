"""Held-out examples that training holds too, a little changed."""

import numpy as np

from jft.data import perceptual, shingles
from jft.preflight import images, texts
from jft.preflight.finding import SHOWN, Finding, percent
from jft.preflight.shown import show
from jft.typing import Any, Mapping

LEAST_SIDE = 32
"""Smaller pictures are alike by nature: a hash cannot tell them apart."""
MANY = 0.01
"""A share of a held-out split above this is a warning."""


def of_texts(
  sources: Mapping[str, Any], seen: Mapping[str, texts.Seen]
) -> list[Finding]:
  """Compares the texts of each held-out split with training's."""
  theirs = seen["train"]
  found = []
  for split, ours in seen.items():
    if split == "train":
      continue
    known = set(theirs.texts)
    # Equal ones are leaks, counted already; without letters all are alike.
    fresh = [
      i
      for i, text in enumerate(ours.texts)
      if text not in known and shingles.normal(text).strip()
    ]
    pairs = shingles.near_pairs([ours.texts[i] for i in fresh], theirs.texts)
    rows = [
      (int(ours.index[fresh[i]]), int(theirs.index[j]), score)
      for i, j, score in pairs
    ]
    found.append(_finding(sources, split, rows, len(ours.index), _TEXTS))
  return found


def of_images(
  sources: Mapping[str, Any],
  seen: Mapping[str, images.Seen],
  equal: Mapping[str, set[int]],
) -> list[Finding]:
  """Compares the pictures of each held-out split with training's.

  Args:
    sources: {split: source}.
    seen: {split: its survey}.
    equal: {split: examples that are leaks, and so counted already}.
  """
  if any((s.sizes.max(1) < LEAST_SIDE).mean() > 0.5 for s in seen.values()):
    return [
      Finding(
        "near_duplicates",
        "note",
        f"not looked for: pictures below {LEAST_SIDE} pixels are too much alike"
        " to be told apart by their looks.",
      )
    ]
  theirs = seen["train"]
  found = []
  for split, ours in seen.items():
    if split == "train":
      continue
    pairs = perceptual.near_pairs(_looks(ours), _looks(theirs))
    rows = [
      (int(ours.index[i]), int(theirs.index[j]), score)
      for i, j, score in pairs
      if int(ours.index[i]) not in equal[split]
    ]
    found.append(_finding(sources, split, rows, ours.looked, _IMAGES))
  return found


_TEXTS = ("texts", "80 % or more of their runs of five letters are shared")
_IMAGES = ("pictures", "another size, compression or brightness")


def _looks(seen: images.Seen) -> perceptual.Looks:
  return perceptual.Looks(seen.hashes, seen.thumbnails)


def _finding(
  sources: Mapping[str, Any],
  split: str,
  rows: list[tuple[int, int, float]],
  total: int,
  words: tuple[str, str],
) -> Finding:
  what, how = words
  if not rows:
    return Finding(
      "near_duplicates", "ok", f"none of {total:,} {split} {what} in train."
    )
  rows = sorted(rows, key=lambda row: -row[2])
  picked = np.unique(np.linspace(0, len(rows) - 1, SHOWN).astype(int))
  lines = [
    f"{rows[k][2]:.2f}  {show(sources[split], rows[k][0])}"
    f" ~ {show(sources['train'], rows[k][1])}"
    for k in picked
  ]
  share = len(rows) / total
  return Finding(
    "near_duplicates",
    "warning" if share > MANY else "note",
    f"{len(rows):,} of {total:,} {split} {what} ({percent(len(rows), total)})"
    f" are nearly those of a training example ({how})."
    + (
      f" The {split} metrics flatter the model: take these out of train, or"
      f" out of {split}."
      if share > MANY
      else ""
    )
    + "\n"
    + "\n".join(lines),
    {
      "split": split,
      "count": len(rows),
      "share": share,
      "pairs": [[i, j, round(score, 4)] for i, j, score in rows[:100]],
    },
  )
