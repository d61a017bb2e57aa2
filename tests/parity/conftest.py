"""Originals that are not installed are skipped, by name."""

import pytest

OPTIONAL = ("keras", "timm")


def pytest_ignore_collect(collection_path, config):
  """Importing torch takes seconds: not for tests that would not run."""
  del collection_path
  return True if "not parity" in config.option.markexpr else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
  try:
    return (yield)
  except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] in OPTIONAL:
      pytest.skip(f"{error.name} is not installed; see BUILD.md")
    raise
