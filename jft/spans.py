"""Spans of tagged words, and how well they are found: CoNLL's evaluation."""

from collections import Counter

from jft.typing import Any, Sequence

Span = tuple[str, int, int]
"""(type, first word, one past the last word)."""


def spans(tags: Sequence[str]) -> list[Span]:
  """Returns the spans that a sentence's tags mark.

  A span begins at B-, at an I- after O or after another type, and ends where
  another one begins or at O; so does conlleval read IOB1 and IOB2 alike.

  Args:
    tags: "O", or "B-TYPE" and "I-TYPE", one a word.

  Source: Sang and Buchholz, 2000 (CoNLL-2000), conlleval; seqeval's default
  mode.

  >>> spans(["B-per", "I-per", "O", "I-loc", "I-per"])
  [('per', 0, 2), ('loc', 3, 4), ('per', 4, 5)]
  """
  found: list[Span] = []
  kind, start = "", 0
  for i, tag in enumerate([*tags, "O"]):
    mark, _, name = tag.partition("-")
    goes_on = mark == "I" and name == kind
    if kind and not goes_on:
      found.append((kind, start, i))
    if not goes_on:
      kind, start = (name if mark in ("B", "I") else ""), i
  return found


def span_report(
  true: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> dict[str, Any]:
  """Precision, recall and F1 of whole spans: type and both ends must be right.

  Args:
    true: the tags of each sentence.
    predicted: as many, of the same lengths.

  Returns:
    {"precision", "recall", "f1": over all spans, "classes": [{name,
    precision, recall, f1, support}] by type}. A share of nothing is 0.

  Source: conlleval; equals seqeval's `classification_report`.
  """
  wanted, given, right = Counter(), Counter(), Counter()
  for ours, theirs in zip(true, predicted, strict=True):
    gold, guess = set(spans(ours)), set(spans(theirs))
    wanted.update(kind for kind, _, _ in gold)
    given.update(kind for kind, _, _ in guess)
    right.update(kind for kind, _, _ in gold & guess)
  names = sorted({*wanted, *given})
  rows = [
    {"name": n, **_scores(right[n], given[n], wanted[n]), "support": wanted[n]}
    for n in names
  ]
  return {
    **_scores(right.total(), given.total(), wanted.total()),
    "classes": rows,
  }


def _scores(right: int, given: int, wanted: int) -> dict[str, float]:
  return {
    "precision": right / given if given else 0.0,
    "recall": right / wanted if wanted else 0.0,
    "f1": 2 * right / (given + wanted) if given + wanted else 0.0,
  }
