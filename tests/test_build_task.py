"""Each task from its data to the report and the predictions."""

import csv
import json

import numpy as np
import pytest
import tiny

from jft import build, config, loop, preflight
from jft.cli import main
from jft.errors import UserError
from jft.insight import inspect
from jft.writers import read_json

COMMON = (
  *("data.train_examples=0", "data.test_fraction=0", "data.max_length=8"),
  *("tune.preset=full", "tune.blocks=0", "train.batch_size=8"),
  *("train.steps=4", "eval.every_steps=2", "data.buckets=1"),
)


def recipe(folder, *more):
  return config.load("default", tiny.overrides(folder, *COMMON, *more))


def numbers(folder, task="regression", rows=24):
  tiny.write_bert(folder)
  lines = [
    f"{'good ' * (i % 5)}film,{'bad ' * (i % 3)}film {i},{i % 5 - i % 3}.5"
    for i in range(rows)
  ]
  for name in ("train", "val"):
    text = "\n".join(["a,b,score", *lines]).replace("film", f"{name} film")
    (folder / f"{name}.csv").write_text(text)
  return (
    f"task.name={task}",
    f"data.train=csv:{folder}/train.csv",
    f"data.validation=csv:{folder}/val.csv",
    *("data.text_column=a", "data.text_pair_column=b"),
    *("data.label_column=score", "stop.metric=val/spearman"),
  )


def tagged(folder):
  tiny.write_bert(folder)
  rows = ["good O\nbad B-x\nfilm I-x\n", "film O\nfilm B-y\n"] * 8
  (folder / "train.conll").write_text("\n".join(rows) + "\ngood O\n" * 5)
  val = "film B-x\n" * 9 + "\ngood O\nfilm B-y\n"
  (folder / "val.conll").write_text(val)
  return (
    "task.name=token_classification",
    f"data.train=conll:{folder}/train.conll",
    f"data.validation=conll:{folder}/val.conll",
    *("stop.metric=val/f1", "train.preflight=warn"),
  )


def predicted(workdir, *argv):
  out = workdir / f"out{argv[0].suffix}.jsonl"
  done = main.main(
    ["predict", f"--workdir={workdir}", f"--output={out}", *map(str, argv)]
  )
  assert done == 0
  rows = [json.loads(line) for line in out.read_text().splitlines()]
  table = out.with_suffix(".csv")
  main.main(
    ["predict", f"--workdir={workdir}", f"--output={table}", *map(str, argv)]
  )
  with table.open(newline="") as file:
    return rows, list(csv.reader(file))


@pytest.mark.full
def test_numbers_from_file_to_file(tmp_path, capsys):
  made = recipe(tmp_path, *numbers(tmp_path, "similarity"))
  workdir = tmp_path / "run"
  summary = loop.fit(made, workdir)
  assert {"val/mse", "val/mae", "val/pearson", "val/spearman", "val/loss"} == (
    summary["metrics"].keys()
  )
  assert len(summary["report"]["points"]["target"]) == 24
  page = (workdir / "report.html").read_text()
  assert "Furthest off" in page
  assert "validation spearman" in page
  assert (workdir / "scatter.png").exists()
  assert not (workdir / "confusion.png").exists()
  head = [
    row["name"]
    for row in read_json(workdir / "run.json")["load"]
    if (row["name"] or "").startswith("params/head")
  ]
  assert not head  # The cosine needs none.
  rows, table = predicted(workdir, tmp_path / "val.csv")
  assert table[0] == ["input", "value"]
  assert len(rows) == len(table) - 1 == 24
  target = [i % 5 - i % 3 + 0.5 for i in range(24)]
  target = [t if t > 0 else float(f"{int(t - 0.5)}.5") for t in target]
  error = np.array([row["value"] for row in rows]) - target
  want = summary["metrics"]["val/mae"]
  assert np.abs(error).mean() == pytest.approx(want, rel=1e-4)
  (tmp_path / "new.txt").write_text("good film\n")
  argv = ["predict", f"--workdir={workdir}", f"{tmp_path}/new.txt"]
  assert main.main(argv) == 2
  assert "this run reads pairs of texts" in capsys.readouterr().err


def test_a_regression_has_a_head_of_one_output(tmp_path):
  run = build.build(recipe(tmp_path, *numbers(tmp_path)))
  assert run.net.params["head"]["kernel"].shape == (8, 1)
  assert run.splits.train.batch_at(0)["input_ids"].ndim == 2
  assert run.describe()[1].endswith("; regression, numbers")
  labels = {f.check: f for f in preflight.quick(run)}["labels"]
  assert "targets from -2.5 to 4.5" in labels.message


@pytest.mark.slow
def test_tags_from_file_to_file(tmp_path):
  made = recipe(tmp_path, *tagged(tmp_path))
  workdir = tmp_path / "run"
  summary = loop.fit(made, workdir)
  assert summary["metrics"].keys() == {
    f"val/{name}"
    for name in ("loss", "token_accuracy", "f1", "precision", "recall")
  }
  assert summary["report"]["title"] == "Spans"
  assert [r["support"] for r in summary["report"]["classes"]] == [9, 1]
  page = (workdir / "report.html").read_text()
  assert "Spans, validation examples" in page
  assert "Confusions" not in page
  # Nine words do not fit into eight tokens; all of them are answered.
  rows, table = predicted(workdir, tmp_path / "val.conll")
  assert [len(row["tags"]) for row in rows] == [9, 2]
  assert [len(row["words"]) for row in rows] == [9, 2]
  assert table[0] == ["input", "word", "tag", "probability"]
  assert len(table) == 1 + 11
  (tmp_path / "new.txt").write_text("good film\n\nbad  film film\n")
  rows, _ = predicted(workdir, tmp_path / "new.txt")
  assert [row["words"] for row in rows] == [
    ["good", "film"],
    ["bad", "film", "film"],
  ]
  assert {"type", "start", "end"} >= {
    k for r in rows for s in r["spans"] for k in s
  }


@pytest.mark.full
def test_the_preflight_knows_the_tasks(tmp_path):
  (tmp_path / "a").mkdir()
  made = recipe(tmp_path / "a", *numbers(tmp_path / "a", "similarity"))
  run = build.build(made)
  found = {f.check: f for f in preflight.quick(run)}
  assert "always the mean" in found["start_loss"].message
  assert run.describe()[1].endswith("similarity, numbers")
  assert inspect.inspect_config(made, batch_size=2).flops > 0


@pytest.mark.slow
def test_the_preflight_of_tags(tmp_path):
  run = build.build(recipe(tmp_path, *tagged(tmp_path)))
  found = {f.check: f for f in preflight.full(run, steps=2)}
  assert "2 types of spans" in found["labels"].message
  assert "ln K = 1.386" in found["start_loss"].message
  assert " -> O B-x I-x" in found["view"].message
  assert run.describe()[1].endswith(
    "4 tags; 1 long sentences are read in parts"
  )


@pytest.mark.parametrize(
  ("more", "message"),
  [
    (["stop.metric=val/accuracy"], "choose one of val/spearman, val/pearson"),
    (["stop.mode=min"], "of stop.metric='val/spearman' the max is best"),
    (["task.target_range=(5, 0)"], "expected .low, high."),
    (["task.target_range=(0, 1)"], "has the target .*, outside task.target_r"),
    (["task.label_smoothing=0.1"], "task.label_smoothing is of one class or"),
    (["data.train=folder:x"], "this task reads numbers from csv:..., jsonl"),
    (["data.text_pair_column="], "compares two texts: give data.text_pair_c"),
    (["tune.head_first=0.5"], "has no head; set it to 0"),
    (["data.label_column=b"], r"train.csv:2: the target '.*' is no number"),
    (
      ["task.name=token_classification", "stop.metric=val/f1"],
      "reads one sentence at a time",
    ),
  ],
)
def test_what_cannot_be_meant(tmp_path, more, message):
  made = recipe(tmp_path, *numbers(tmp_path, "similarity"), *more)
  with pytest.raises(UserError, match=message):
    build.build(made)


def test_a_task_of_texts_needs_a_model_of_texts(tmp_path):
  made = recipe(
    tmp_path,
    *numbers(tmp_path, "similarity"),
    "model.source=jft:resnet14_mnist",
  )
  with pytest.raises(UserError, match=r"is of texts, and .* reads images"):
    build.build(made)
