"""Errors for people: what, which name, got against expected, what to change."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
  """Something the caller can mend; `jft` prints it without a traceback."""


def near_misses(name: str, known: Iterable[str], count: int = 3) -> list[str]:
  """Returns the known names closest to `name`, best first.

  >>> near_misses("optim.ir", ["optim.lr", "data.seed"])
  ['optim.lr']
  """
  return difflib.get_close_matches(name, list(known), n=count, cutoff=0.5)


def did_you_mean(name: str, known: Iterable[str]) -> str:
  """Returns " Did you mean ...?" for an error message, or "" if none is near.

  >>> did_you_mean("adamv", ["adamw", "sgd"])
  " Did you mean 'adamw'?"
  """
  near = near_misses(name, known)
  return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
