"""Cases of a test: some run by default, the others under `pytest -m full`."""

import pytest


def some(cases, *kept):
  """Returns all cases, those that are not `kept` marked as full."""
  assert all(case in cases for case in kept)
  return [case if case in kept else _full(case) for case in cases]


def _full(case):
  values = case if isinstance(case, tuple) else (case,)
  return pytest.param(*values, marks=pytest.mark.full)
