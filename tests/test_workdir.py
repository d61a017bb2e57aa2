import json

import pytest

from jft import config, workdir
from jft.errors import UserError


def begin(folder, *overrides):
  changed = config.load("quickstart", overrides)
  workdir.begin(folder, changed, {"model": {"preset": "x"}}, ("jft", "train"))


def read(folder):
  return json.loads((folder / "run.json").read_text())


def test_a_new_run_writes_down_what_it_is(tmp_path):
  begin(tmp_path / "a" / "b", "optim.lr=0.125")
  saved = read(tmp_path / "a" / "b")
  assert saved["command"] == ["jft", "train"]
  assert saved["config"]["optim"]["lr"] == 0.125
  assert saved["model"] == {"preset": "x"}
  assert saved["started"].endswith("+00:00")
  assert {"versions", "device", "cores", "xla_flags", "git"} <= set(saved)
  loaded = config.from_dict(workdir.saved_facts(tmp_path / "a" / "b")["config"])
  assert (
    config.diff(loaded, config.load("quickstart", ["optim.lr=0.125"])) == {}
  )


def test_the_same_run_goes_on_and_its_resumes_are_told(tmp_path):
  begin(tmp_path)
  (tmp_path / "metrics.jsonl").touch()
  before = read(tmp_path)
  begin(tmp_path)
  begin(tmp_path, "log.every_steps=3")
  after = read(tmp_path)
  first, second = after.pop("resumes")
  assert after == before
  assert (first["command"], first["changed"]) == (["jft", "train"], {})
  assert second["changed"] == {"config.log.every_steps": [10, 3]}


@pytest.mark.parametrize(
  "harmless",
  [
    "log.every_steps=3",
    "log.tensorboard=false",
    "eval.batch_size=8",
    "data.prefetch=5",
    "checkpoint.keep_last=4",
    "guard.max_retries=9",
  ],
)
def test_keys_that_change_nothing_may_change(tmp_path, harmless):
  begin(tmp_path)
  begin(tmp_path, harmless)


def test_another_config_is_refused_with_the_difference(tmp_path):
  begin(tmp_path)
  before = (tmp_path / "run.json").read_bytes()
  with pytest.raises(UserError) as error:
    begin(
      tmp_path,
      "seed=3",
      "optim.lr=0.5",
      "log.every_steps=3",
      "eval.every_steps=30",
      "data.label_names=a,b",
    )
  assert str(error.value) == (
    f"workdir {tmp_path} holds the run of another config:\n"
    "  data.label_names: [] -> ['a', 'b']\n"
    "  eval.every_steps: 20 -> 30\n"
    "  optim.lr: 0.005 -> 0.5\n"
    "  seed: 0 -> 3\n"
    "Give another --workdir, or delete this one."
  )
  assert (tmp_path / "run.json").read_bytes() == before


def test_foreign_files_are_left_alone(tmp_path):
  (tmp_path / "thesis.tex").touch()
  with pytest.raises(UserError, match=r"holds thesis\.tex but no run\.json"):
    begin(tmp_path)
  assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_folder(tmp_path):
  (tmp_path / "run").touch()
  with pytest.raises(UserError, match="run is a file; give a folder"):
    begin(tmp_path / "run")


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("{", "is not JSON"),
    ("[1]", "holds no config"),
    ('{"scripts": {}}', "holds no config"),
    ('{"config": "x.yaml"}', "holds no config"),
  ],
)
def test_a_damaged_or_foreign_run_json(tmp_path, text, message):
  (tmp_path / "run.json").write_text(text)
  with pytest.raises(UserError, match=message):
    begin(tmp_path)


def test_no_run_at_all(tmp_path):
  with pytest.raises(
    UserError, match=r"is no run of jft: it holds no run\.json"
  ):
    workdir.saved_facts(tmp_path)
