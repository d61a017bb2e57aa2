"""Two hundred processes killed at random; no run may come out another one.

pytest -m chaos -n 0 -s tests/chaos/test_kills.py

The short form, two kills, is tests/test_proof_kills.py.
"""

import collections
import pathlib

import pytest
import tiny

from jft.proof import kills

KILLS = 200
RECIPE = """
import sys
sys.path.insert(0, {tests!r})
import pytest, tiny
from jft import curves, report

def get_config():
  tiny.add_preset(pytest.MonkeyPatch())
  curves.draw = report.render = lambda workdir: None
  more = ("train.steps=40", "eval.every_steps=1", "tune.head_first=0.4")
  return tiny.recipe({source!r}, *more).unlock()
"""


@pytest.mark.chaos
def test_two_hundred_kills(tmp_path):
  recipe = tmp_path / "recipe.py"
  tests = str(pathlib.Path(__file__).parent.parent)
  recipe.write_text(
    RECIPE.format(tests=tests, source=str(tiny.write(tmp_path)))
  )
  proof = kills.prove(
    [f"--config={recipe}"], tmp_path / "runs", kills=KILLS, seed=0
  )
  saving = sum(kill.saving for kill in proof.kills)
  steps = collections.Counter(kill.step // 10 * 10 for kill in proof.kills)
  different = sum(not found.identical for found in proof.comparisons)
  print(
    f"\n{len(proof.kills)} kills ({saving} while saving) in"
    f" {len(proof.comparisons)} runs; by update: {dict(sorted(steps.items()))};"
    f" {different} different; all best models equal: {proof.same_model}"
  )
  assert len(proof.kills) == KILLS
  assert saving > 0
  assert proof.holds
