"""What cannot be replayed, and a replay that finds a difference."""

import json

import pytest
import tiny

from jft import loop
from jft.errors import UserError
from jft.proof import compare, replay


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  with pytest.MonkeyPatch.context() as patch:
    tiny.add_preset(patch)
    tiny.draw_nothing(patch)
    source = tiny.write(tmp_path_factory.mktemp("weights"))
    workdir = tmp_path_factory.mktemp("replay") / "run"
    loop.fit(tiny.recipe(source, "train.steps=6"), workdir, until=5)
    yield workdir


def test_an_interrupted_run_is_replayed_to_where_it_came(run, tmp_path):
  before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
  found = replay.replay(run, folder=tmp_path / "kept")
  assert (found.identical, found.updates, found.states) == (True, 5, 2)
  assert (tmp_path / "kept" / "run.json").exists()
  assert before == {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}


def test_a_record_that_was_changed_is_found(run, tmp_path):
  copy = tmp_path / "copy"
  copy.mkdir()
  for name in ("run.json", "metrics.jsonl"):
    (copy / name).write_bytes((run / name).read_bytes())
  first, *rest = (run / "digests.jsonl").read_text().splitlines()
  row = json.loads(first)
  row["loss"][0] = "00000000"
  (copy / "digests.jsonl").write_text("\n".join([json.dumps(row), *rest, ""]))
  found = replay.replay(copy, steps=4)
  assert (found.difference.step, found.difference.what) == (1, "loss")
  assert "  run     0.0 (bits 00000000)" in compare.render(found)


def test_a_secret_cannot_be_replayed(run, tmp_path):
  saved = json.loads((run / "run.json").read_text())
  saved["config"]["data"]["train"] = "csv:https://***host/x.csv"
  (tmp_path / "run.json").write_text(json.dumps(saved))
  with pytest.raises(UserError, match=r"data\.train held a secret"):
    replay.replay(tmp_path)


@pytest.mark.parametrize("steps", [0, -1])
def test_no_steps(run, steps):
  with pytest.raises(UserError, match="must be at least 1"):
    replay.replay(run, steps=steps)
