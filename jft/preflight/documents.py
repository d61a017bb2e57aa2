"""Is there enough to learn in the documents, and is it all there?"""

from jft.preflight.finding import Finding, percent
from jft.typing import Any, Mapping

FEW = 1000
"""Fewer tokens to learn than this are told."""


def check(facts: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
  """Judges how many tokens of each split are to be learnt.

  Args:
    facts: {split: what `Splits.describe` says of it}, "train" among them.
  """
  found = [_cut(split, part) for split, part in facts.items() if part["cut"]]
  train = facts["train"]
  told = "; ".join(
    f"{split} {part['tokens_to_learn']:,} of {part['tokens']:,}"
    f" ({percent(part['tokens_to_learn'], part['tokens'])})"
    for split, part in facts.items()
  )
  few = train["tokens_to_learn"] < FEW
  advice = " A model learns next to nothing from so few." if few else ""
  level = "warning" if few else "ok"
  return [
    Finding(
      "labels",
      level,
      f"tokens that are to be learnt: {told}.{advice}",
      {split: dict(part) for split, part in facts.items()},
    ),
    *found,
  ]


def _cut(split: str, part: Mapping[str, Any]) -> Finding:
  share = percent(part["cut"], part["examples"])
  return Finding(
    "labels",
    "warning",
    f"{part['cut']:,} of {part['examples']:,} {split} chats ({share}) are"
    " longer than data.max_length and lose their end: the model would not learn"
    " to stop there. Raise data.max_length.",
    {"split": split, "cut": part["cut"]},
  )
