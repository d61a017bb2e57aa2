"""What a config trains and asks, in lines for a person."""

from jft.build.data import Splits
from jft.build.surgical import Choice
from jft.build.tuning import Tuning
from jft.data import Windows
from jft.tasks import LANGUAGE, Task
from jft.tuning.unfreeze import Phase
from jft.typing import Any, Mapping


def told(tuning: Tuning, facts: Mapping[str, Any]) -> list[str]:
  """Returns a few lines on rates, chosen parts and phases, where they differ.

  Args:
    tuning: of the run.
    facts: of its `run.json`.
  """
  choice, phases = Choice.of(facts), tuning.phases
  lines = choice.describe() if choice else []
  if tuning.shares:
    lines += rates(tuning)
  if len(phases) > 1:
    lines.append("trained:")
    for phase, factor in zip(phases, tuning.phase_scales, strict=True):
      times = f", all rates x {factor:g}" if factor != 1 else ""
      labels = ", ".join(sorted(phase.labels))
      lines.append(f"  from {when(phase)}: {labels}{times}")
  return lines


def rates(tuning: Tuning) -> list[str]:
  """Returns a line on the peak rates of every label."""
  return [
    "peak learning rates: "
    + "; ".join(
      f"{label} {high:.3g}"
      if low == high
      else f"{label} {low:.3g} to {high:.3g}"
      for label, (low, high) in tuning.rate_spans.items()
    )
  ]


def when(phase: Phase) -> str:
  """Returns when a phase begins.

  >>> when(Phase(5, frozenset())), when(Phase(None, frozenset()))
  ('step 5', 'a plateau on')
  """
  if phase.start_step is None:
    return "a plateau on"
  return f"step {phase.start_step}"


def answers(task: Task, splits: Splits, facts: Mapping[str, Any]) -> str:
  """Returns what the model is to answer, in a few words.

  Args:
    task: of the run.
    splits: its data.
    facts: of its `run.json`.
  """
  names = splits.label_names
  if task.name in LANGUAGE:
    return _documents(facts["data"]["train"])
  if task.name == "retrieval":
    return "texts that belong together"
  if task.name != "token_classification":
    return f"{len(names)} classes" if names else f"{task.name}, numbers"
  cut = sum(
    source.cut
    for source in splits.sources.values()
    if isinstance(source, Windows)
  )
  told = f"; {cut:,} long sentences are read in parts" if cut else ""
  return f"{len(names)} tags{told}"


def _documents(part: Mapping[str, Any]) -> str:
  cut = f"; {part['cut']:,} of them cut" if part["cut"] else ""
  return (
    f"documents, {part['tokens']:,} tokens in {part['rows']:,} rows,"
    f" {part['tokens_to_learn']:,} of them to learn{cut}"
  )
