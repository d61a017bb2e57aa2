"""Originals that are not installed are skipped, by name."""

import re

import pytest

OPTIONAL = ("keras", "timm")


def pytest_ignore_collect(collection_path, config):
  """Importing torch takes seconds: not for tests that would not run."""
  del collection_path
  excluded = re.search(r"(^|and )not parity\b", config.option.markexpr)
  return True if excluded else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
  try:
    return (yield)
  except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] in OPTIONAL:
      pytest.skip(f"{error.name} is not installed; see BUILD.md")
    raise
