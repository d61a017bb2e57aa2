"""What a check found, and how a list of findings reads."""

import dataclasses
import textwrap
from typing import Literal

from jft.errors import UserError
from jft.typing import Any, Callable, Iterable, Mapping, Sequence

Level = Literal["ok", "note", "warning", "error"]
LEVELS: tuple[Level, ...] = ("ok", "note", "warning", "error")
SHOWN = 5
"""Examples that a message names."""
_WIDTH = 80
_INDENT = " " * 9


@dataclasses.dataclass(frozen=True)
class Finding:
  """The outcome of one check.

  Attributes:
    check: its name, such as "leaks".
    level: "ok", "note" (worth knowing), "warning" (probably a mistake) or
      "error" (training would be in vain).
    message: a sentence, with what to change where something is wrong. Lines
      after the first are shown as they are.
    details: the numbers behind it, plain JSON values.
  """

  check: str
  level: Level
  message: str
  details: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def render(findings: Sequence[Finding], *, least: Level = "ok") -> str:
  """Renders findings as text of 80 columns.

  Args:
    findings: in the order of the checks.
    least: leave out what is below this level.

  >>> print(render([Finding("labels", "ok", "10 classes, all in range.")]))
  ok       labels: 10 classes, all in range.
  """
  kept = LEVELS[LEVELS.index(least) :]
  return "\n".join(_entry(f) for f in findings if f.level in kept)


def refuse(findings: Iterable[Finding]) -> None:
  """Raises one UserError with every error among the findings, if any."""
  errors = [f for f in findings if f.level == "error"]
  if errors:
    raise UserError(
      "this run would be in vain:\n" + "\n".join(map(_entry, errors))
    )


def guarded(
  check: str, find: Callable[[], Sequence[Finding]]
) -> tuple[Finding, ...]:
  """Runs one check; a UserError of the data becomes its finding."""
  try:
    return tuple(find())
  except UserError as error:
    return (Finding(check, "error", str(error)),)


def some(items: Sequence[Any], count: int = SHOWN) -> str:
  """Names the first few of a list.

  >>> some(["a", "b", "c"], 2)
  'a, b and 1 more'
  """
  text = ", ".join(map(str, items[:count]))
  left = len(items) - count
  return f"{text} and {left} more" if left > 0 else text


def percent(part: float, whole: float) -> str:
  """A share for a person, never rounded to none or to all.

  >>> percent(1, 3), percent(1, 10**6), percent(0, 5), percent(999_999, 10**6)
  ('33.3 %', 'below 0.1 %', '0 %', 'above 99.9 %')
  """
  share = 100 * part / whole if whole else 0.0
  if 0 < share < 0.1:
    return "below 0.1 %"
  if 99.9 < share < 100:
    return "above 99.9 %"
  return f"{share:.1f} %".replace(".0 %", " %")


def _entry(finding: Finding) -> str:
  first, *rest = finding.message.splitlines() or [""]
  lines = textwrap.wrap(
    f"{finding.level:<8} {finding.check}: {first}",
    _WIDTH,
    subsequent_indent=_INDENT,
    break_on_hyphens=False,
    break_long_words=False,
  )
  return "\n".join([*lines, *(f"{_INDENT}{line}".rstrip() for line in rest)])
