"""Originals that are not installed are skipped, by name."""

import pytest

OPTIONAL = ("keras", "timm")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
  try:
    return (yield)
  except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] in OPTIONAL:
      pytest.skip(f"{error.name} is not installed; see BUILD.md")
    raise
