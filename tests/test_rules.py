import pytest

from jft import rules
from jft.errors import UserError

NAMES = ["stem/conv/kernel", "block_00/mlp/bias", "head/kernel", "head/bias"]


def test_first_full_match_wins():
  found = rules.match(
    [("head/bias", "a"), ("head/.*", "b"), (".*", "c")], NAMES
  )
  assert found == {
    "stem/conv/kernel": "c",
    "block_00/mlp/bias": "c",
    "head/kernel": "b",
    "head/bias": "a",
  }


def test_a_rule_must_match_the_whole_name():
  with pytest.raises(UserError, match=r"'head' matches none.*near: head"):
    rules.match([("head", 1), (".*", 2)], NAMES)


def test_a_misspelt_rule_names_its_near_misses():
  with pytest.raises(UserError, match=r"near: block_00/mlp"):
    rules.match([("blok_00/mlp/.*", 1), (".*", 2)], NAMES)


def test_a_shadowed_rule_is_an_error():
  with pytest.raises(UserError, match=r"'head/bias' never applies"):
    rules.match([("head/.*", 1), ("head/bias", 2), (".*", 3)], NAMES)


def test_an_idle_last_catch_all_is_fine():
  assert rules.match([(".*e.*", 1), (".*", 2)], ["head"]) == {"head": 1}


def test_an_uncovered_name_is_an_error():
  with pytest.raises(UserError, match=r"3 of 4 names .*'stem/conv/kernel'"):
    rules.match([("head/bias", 1)], NAMES)


def test_a_broken_regex_is_named():
  with pytest.raises(UserError, match=r"rule '\(head' is not a regular"):
    rules.match([("(head", 1)], NAMES)


def test_first_for_one_name():
  assert rules.first([("a", 1), (".*", 2)], "b") == 2
  with pytest.raises(UserError, match="no rule covers 'b'"):
    rules.first([("a", 1)], "b")
