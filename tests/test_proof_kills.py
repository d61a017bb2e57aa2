"""Processes that are really killed; see also tests/chaos."""

import pathlib

import pytest
import tiny

from jft.errors import UserError
from jft.proof import kills

RECIPE = """
import sys
sys.path.insert(0, {tests!r})
import pytest, tiny

def get_config():
  tiny.add_preset(pytest.MonkeyPatch())
  more = ("train.steps=40", "eval.every_steps=2")
  return tiny.recipe({source!r}, *more).unlock()
"""


@pytest.fixture
def recipe(tmp_path):
  path = tmp_path / "recipe.py"
  tests = str(pathlib.Path(__file__).parent)
  source = str(tiny.write(tmp_path))
  path.write_text(RECIPE.format(tests=tests, source=source))
  return path


@pytest.mark.slow
def test_a_killed_run_is_the_run_that_was_not(recipe, tmp_path):
  said = []
  proof = kills.prove(
    [f"--config={recipe}"],
    tmp_path / "runs",
    kills=2,
    seed=1,
    say=said.append,
  )
  assert proof.holds
  assert len(proof.kills) == 2
  assert all(c.updates == 40 for c in proof.comparisons)
  assert sum("SIGKILL" in line for line in said) == 2
  assert len(proof.sha256) == 64


def test_a_run_that_fails_by_itself_is_no_proof(recipe, tmp_path):
  with pytest.raises(UserError, match=r"without being killed:\n.*optim\.lr=0"):
    kills.prove(
      [f"--config={recipe}", "--config.optim.lr=0"],
      tmp_path / "runs",
      kills=1,
      seed=0,
    )


def test_mistakes(tmp_path):
  with pytest.raises(UserError, match="--kills=0"):
    kills.prove([], tmp_path / "runs", kills=0, seed=0)
  (tmp_path / "file").touch()
  with pytest.raises(UserError, match="is not empty"):
    kills.prove([], tmp_path, kills=1, seed=0)
