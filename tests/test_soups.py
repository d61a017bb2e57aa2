"""Runs of a tiny network, averaged: folders that are read as a run's."""

import json

import numpy as np
import pytest
import tiny

from jft import loop, restored, soups, tree
from jft.cli.main import main
from jft.errors import UserError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  """Three seeds over one cut of the data; and another cut."""
  folder = tmp_path_factory.mktemp("soups")
  with pytest.MonkeyPatch.context() as patch:
    tiny.add_preset(patch)
    tiny.draw_nothing(patch)
    source = tiny.write(folder)
    for name, more in {
      "a": ["seed=1"],
      "b": ["seed=2"],
      "c": ["seed=3"],
      "other": ["seed=1", "data.split_seed=5"],
    }.items():
      given = ["data.split_seed=0", "train.preflight=off", "train.steps=4"]
      loop.fit(tiny.recipe(source, *given, *more), folder / name)
    yield folder


def weights(workdir):
  _, _, _, state = restored.best_model(workdir)
  return {
    name: np.asarray(x, np.float64)
    for name, x in tree.flatten(state.eval_variables).items()
  }


def test_a_uniform_soup_is_the_mean_of_all(runs):
  made = soups.soup([runs / n for n in "abc"], runs / "uniform", uniform=True)
  each = [weights(runs / name) for name in "abc"]
  found = weights(runs / "uniform")
  for name, leaf in found.items():
    expected = np.mean([w[name] for w in each], 0)
    np.testing.assert_allclose(leaf, expected, rtol=1e-5, atol=1e-6)
  assert {row["run"] for row in made["soup"]["runs"]} == {
    str(runs / name) for name in "abc"
  }


def test_a_greedy_soup_is_what_it_says(runs, capsys):
  names = [str(runs / name) for name in "cab"]
  assert main(["soup", *names, f"--workdir={runs / 'greedy'}", "--json"]) == 0
  made = json.loads(capsys.readouterr().out)
  rows = made["soup"]["runs"]
  alone = [row["alone"] for row in rows]
  assert alone == sorted(alone, reverse=True)
  saved = {
    name: json.loads((runs / name / "summary.json").read_text())["metrics"]
    for name in "abc"
  }
  for row in rows:
    of_the_run = saved[row["run"][-1]]["val/accuracy"]
    assert row["alone"] == pytest.approx(of_the_run, abs=1e-6)
  each = [weights(row["run"]) for row in rows if row["kept"]]
  for name, leaf in weights(runs / "greedy").items():
    expected = np.mean([w[name] for w in each], 0)
    np.testing.assert_allclose(leaf, expected, rtol=1e-4, atol=1e-5)
  last = [row["with"] for row in rows if row["kept"]][-1]
  assert made["metrics"]["val/accuracy"] == pytest.approx(last)
  # What is left out made it worse.
  best = alone[0]
  for row in rows:
    assert (row["with"] >= best) == row["kept"]
    best = max(best, row["with"]) if row["kept"] else best


def test_the_folder_is_read_as_a_runs_and_not_trained_on(runs, capsys):
  out = runs / "read"
  made = soups.soup([runs / "a", runs / "b"], out)
  assert main(["evaluate", f"--workdir={out}", "--json"]) == 0
  found = json.loads(capsys.readouterr().out)
  assert found["metrics"]["accuracy"] == pytest.approx(
    made["metrics"]["test/accuracy"]
  )
  config, *_ = restored.best_model(out)
  with pytest.raises(UserError, match="holds the soup of finished runs"):
    loop.fit(config, out)
  with pytest.raises(UserError, match="is there already"):
    soups.soup([runs / "a", runs / "b"], out)


def test_wise_is_the_line_from_the_source_and_leaves_a_new_head(runs, capsys):
  argv = ["wise", runs / "a", f"--workdir={runs / 'wise'}", "--points=3"]
  assert main(list(map(str, [*argv, "--alpha=0.25", "--json"]))) == 0
  made = json.loads(capsys.readouterr().out)["wise"]
  assert [row["alpha"] for row in made["curve"]] == [0.0, 0.25, 0.5, 1.0]
  assert made["alpha"] == 0.25
  run = restored.best(runs / "a")[1]
  start = tree.flatten(run.net.variables)
  tuned, found = weights(runs / "a"), weights(runs / "wise")
  moved = 0
  for name, leaf in found.items():
    share = 1.0 if "/head/" in name else 0.25
    expected = share * tuned[name] + (1 - share) * np.asarray(start[name])
    np.testing.assert_allclose(leaf, expected, rtol=1e-5, atol=1e-6)
    moved += np.any(tuned[name] != start[name]) and share < 1
  assert moved
  saved = json.loads((runs / "a" / "summary.json").read_text())["metrics"]
  assert made["curve"][-1]["val/loss"] == pytest.approx(
    saved["val/loss"], rel=1e-4
  )
  assert (runs / "wise" / "wise.png").read_bytes()[:4] == b"\x89PNG"


def test_wise_takes_the_best_share(runs):
  made = soups.wise(runs / "b", runs / "best", points=3)
  curve = made["wise"]["curve"]
  best = max(row["val/accuracy"] for row in curve)
  assert made["metrics"]["val/accuracy"] == pytest.approx(best)
  taken = max(r["alpha"] for r in curve if r["val/accuracy"] == best)
  assert made["wise"]["alpha"] == taken


def test_what_does_not_go_together_is_refused(runs):
  with pytest.raises(UserError, match="other validation examples than"):
    soups.soup([runs / "a", runs / "other"], runs / "no")
  with pytest.raises(UserError, match="two runs or more"):
    soups.soup([runs / "a", runs / "a"], runs / "no")
  with pytest.raises(UserError, match="at least 2 points, and a share"):
    soups.wise(runs / "a", runs / "no", alpha=1.5)
  assert not (runs / "no").exists()
