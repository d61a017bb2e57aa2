"""The quickstart, twelve steps of it: what a run leaves behind."""

import itertools
import json

import numpy as np
import pytest
import tiny

from jft import config as configs
from jft import (
  evaluation,
  finish,
  history,
  loop,
  restored,
  tree,
)
from jft.build.data import make_sources
from jft.cli.main import main
from jft.models import resnet
from jft.pretrained import formats, hub, layouts
from jft.pretrained.names import resnet as names
from jft.writers import read_json, read_metrics


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """The recipe on fewer steps and the digits' own 8 x 8 pixels."""
  config = configs.load(
    "quickstart",
    [
      "data.image_size=8",
      "optim.warmup_steps=1",
      "tune.blocks=1",
      "tune.head_first=0",
      "train.steps=12",
      "train.devices=1",
      "eval.every_steps=4",
      "log.every_steps=1",
    ],
  )
  workdir = tmp_path_factory.mktemp("runs") / "deep" / "quickstart"
  summary = loop.fit(config, workdir, command=("jft", "train"))
  return workdir, summary, *restored.best(workdir)


def test_files(run):
  assert {path.name for path in run[0].iterdir()} == {
    "run.json",
    "metrics.jsonl",
    "digests.jsonl",
    ".lock",
    "summary.json",
    "report.html",
    "curves.png",
    "confusion.png",
    "checkpoints",
    "tensorboard",
  }
  assert "resnet14_mnist" in (run[0] / "report.html").read_text()


def test_summary(run):
  workdir, summary, *_ = run
  assert summary == read_json(workdir / "summary.json")
  assert list(summary) == [
    "status",
    "step",
    "best_step",
    "best_sha256",
    "metrics",
    "before",
    "wall_secs",
    "params_trainable",
    "params_total",
    "incidents",
    "damaged_checkpoints",
    "report",
  ]
  assert (summary["status"], summary["step"]) == ("completed", 12)
  assert list(summary["metrics"]) == [
    "val/accuracy",
    "val/loss",
    "test/accuracy",
    "test/loss",
  ]
  # The head and one block of two 3 x 3 convolutions, 64 channels wide.
  head, block = 64 * 10 + 10, 2 * (9 * 64 * 64 + 2 * 64)
  assert summary["params_trainable"] == head + block
  assert summary["params_total"] == 174_970
  assert summary["incidents"] == []
  assert 0 < summary["wall_secs"] < 300
  assert summary["report"]["split"] == "test"
  assert len(summary["report"]["classes"]) == 10


def test_run_json(run):
  saved = read_json(run[0] / "run.json")
  assert saved["command"] == ["jft", "train"]
  assert saved["config"]["optim"]["lr"] == 5e-3
  assert saved["model"]["num_classes"] == 10
  assert saved["phases"] == [{"start_step": 0, "labels": ["backbone", "head"]}]
  assert {"train", "val", "test"} == set(saved["data"])
  assert sum(part["examples"] for part in saved["data"].values()) == 1797
  assert saved["versions"]["jft"]
  assert len(saved["load"]) == 77


def test_the_best_checkpoint_is_measured_again(run):
  workdir, summary, config, found, state = run
  accuracy = {
    row["step"]: row["val/accuracy"]
    for row in read_metrics(workdir)
    if "val/accuracy" in row
  }
  assert list(accuracy) == [4, 8, 12]
  best = max(accuracy, key=accuracy.__getitem__)
  assert summary["best_step"] == best == int(state.step)
  assert summary["metrics"]["val/accuracy"] == accuracy[best]
  seen = evaluation.predict(
    found.eval_step, state.variables, found.evals["test"]
  )
  # By hand, from the logits, on the examples of the source.
  source = make_sources(config)["test"]
  labels = [int(source[i]["label"]) for i in seen.id]
  by_hand = np.mean(seen.logits.argmax(-1) == labels)
  assert summary["metrics"]["test/accuracy"] == pytest.approx(by_hand, abs=1e-9)
  assert by_hand > 0.3


def test_what_is_frozen_is_bitwise_the_pretrained_file(run):
  state = run[-1]
  file = formats.read(hub.locate("jft:resnet14_mnist").weights)
  table = names.table(resnet.PRESETS["resnet14_small"])
  flat = tree.flatten(state.variables)
  assert set(flat) == set(table)
  frozen = {f"params/{name}" for name in tree.flatten(state.frozen)}
  frozen |= {
    name
    for name in flat
    if name.startswith("batch_stats/") and "block_05" not in name
  }
  assert len(frozen) == 77 - 2 - 10  # without the head and one block
  for name, value in flat.items():
    wanted = layouts.to_jft(table[name], np.asarray(file[table[name].source]))
    same = np.asarray(value).tobytes() == np.ascontiguousarray(wanted).tobytes()
    assert same == (name in frozen), name


def test_a_checkpoint_that_gives_another_metric_fails_the_run(
  tmp_path, monkeypatch, capsys
):
  original, count = evaluation.predict, itertools.count()

  def predict(step, variables, batches):
    found = original(step, variables, batches)
    found.values["accuracy"][:] = next(count) / 8
    return found

  tiny.add_preset(monkeypatch)
  monkeypatch.setattr(evaluation, "predict", predict)
  texts = tiny.overrides(
    tiny.write(tmp_path),
    "train.steps=1",
    "train.preflight=off",
    "tune.preset=linear_probe",
    "tune.blocks=0",
  )
  code = main(
    [
      *("train", "--config=default", f"--workdir={tmp_path / 'run'}"),
      *(f"--config.{text}" for text in texts),
    ]
  )
  assert code == 1
  assert (
    "jft: failed: the checkpoint of step 1 was saved with val/accuracy 0.000000"
    " and gives 0.125000 after the restore"
  ) in capsys.readouterr().err
  assert not (tmp_path / "run" / "summary.json").exists()


def test_a_recovered_run_is_valid_json(tmp_path, monkeypatch):
  """An incident's loss is NaN, which JSON has not."""
  tiny.draw_nothing(monkeypatch)

  class Writers:
    run = type("Run", (), {"net": None})
    workdir = tmp_path
    elapsed_secs = 0.0
    checkpointer = type(
      "Checkpointer", (), {"wait": lambda self: None, "lost": {}}
    )()

  record = history.Record(incidents=({"step": 3, "loss": float("nan")},))
  state = type("State", (), {"step": 3, "params": {}, "frozen": {}})
  summary = finish.finish(Writers, state, record, "interrupted")
  assert summary["incidents"] == [{"step": 3, "loss": "NaN"}]
  text = (tmp_path / "summary.json").read_text()
  assert json.loads(text, parse_constant=pytest.fail) == summary
