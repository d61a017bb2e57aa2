"""The one rule engine: ordered (regex, value) rules over leaf names.

Freezing, learning rates, weight decay and loading all use it. A rule matches
the whole name, the first match wins; a rule that matches nothing and a name
that no rule covers are errors, since each is a typo until proven otherwise.
"""

import re
from collections.abc import Iterable
from typing import Any

from jft.errors import UserError, near_misses
from jft.typing import Rules


def match(rules: Rules, names: Iterable[str]) -> dict[str, Any]:
  """Gives every name the value of the first rule that fully matches it.

  Args:
    rules: ordered (regular expression, value) pairs.
    names: "/"-joined leaf names.

  Returns:
    {name: value} for every name.

  Raises:
    UserError: for a rule that is no regular expression, a rule that never
      applies (it matches no name, or earlier rules take all of them; a last
      ".*" may be idle), or a name that no rule covers.

  >>> match([("head/.*", "head"), (".*", "freeze")], ["head/bias", "stem/bias"])
  {'head/bias': 'head', 'stem/bias': 'freeze'}
  """
  names = list(names)
  compiled = [(_compile(pattern), value) for pattern, value in rules]
  found = {}
  idle = [pattern.pattern for pattern, _ in compiled]
  for name in names:
    for pattern, value in compiled:
      if pattern.fullmatch(name):
        found[name] = value
        if pattern.pattern in idle:
          idle.remove(pattern.pattern)
        break
  if idle := [pattern for pattern in idle if pattern != ".*"]:
    raise UserError(_idle_message(idle, names))
  if missing := [name for name in names if name not in found]:
    raise UserError(
      f"{len(missing)} of {len(names)} names are covered by no rule, the first:"
      f' {missing[0]!r}. Add a last rule such as (".*", ...).'
    )
  return found


def first(rules: Rules, name: str) -> Any:
  """Returns the value of the first rule that fully matches one name.

  Raises:
    UserError: if no rule matches.

  >>> first([("head/.*", 1.0), (".*", 0.1)], "stem/conv/kernel")
  0.1
  """
  for pattern, value in rules:
    if _compile(pattern).fullmatch(name):
      return value
  raise UserError(
    f'no rule covers {name!r}; add a last rule such as (".*", ...).'
  )


def _compile(pattern: str) -> re.Pattern[str]:
  try:
    return re.compile(pattern)
  except re.error as error:
    raise UserError(
      f"rule {pattern!r} is not a regular expression: {error}."
    ) from error


def _idle_message(idle: list[str], names: list[str]) -> str:
  rows = []
  for pattern in idle:
    if any(re.fullmatch(pattern, name) for name in names):
      rows.append(
        f"rule {pattern!r} never applies: earlier rules take every name that"
        " it matches; move it up or delete it."
      )
      continue
    literal = re.sub(r"[\\^$.*+?()|\[\]{}]", "", pattern).strip("/")
    # A subtree rule is nearest to the prefix of a name, so those count too.
    near = near_misses(literal, {p for name in names for p in _prefixes(name)})
    hint = f" (near: {', '.join(near)})" if near else ""
    rows.append(
      f"rule {pattern!r} matches none of the {len(names)} names{hint}; a rule"
      " matches the whole name, so end it in /.* for a subtree."
    )
  return "\n".join(rows)


def _prefixes(name: str) -> list[str]:
  parts = name.split("/")
  return ["/".join(parts[: i + 1]) for i in range(len(parts))]
