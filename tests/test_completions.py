"""A decoder taught to answer, from its documents to what it writes."""

import json

import numpy as np
import pytest
import tiny

from jft import build, config, loop, predictions, preflight
from jft.cli import main
from jft.errors import UserError
from jft.insight import inspect

COMMON = (
  *("task.name=causal_lm", "stop.metric=val/perplexity", "stop.mode=min"),
  *("data.train_examples=0", "data.test_fraction=0", "data.max_length=16"),
  *("data.prompt={q}=", "data.response={a}", "data.buckets=1"),
  *("tune.preset=full", "tune.blocks=0", "train.batch_size=8"),
  *("optim.lr=0.02", "train.steps=60", "eval.every_steps=30"),
  *("eval.at_start=true", "eval.batch_size=8", "generate.max_new_tokens=4"),
)


def recipe(folder, *more):
  """Questions of two letters, whose answer is the second one twice."""
  tiny.write_llama(folder)
  rows = [{"q": f"{x}+{y}", "a": y * 2} for x in "abcdef" for y in "abcdefgh"]
  for name, part in (("train", rows[:40]), ("val", rows[40:])):
    (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, part)))
  return config.load(
    "default",
    tiny.overrides(
      folder,
      *COMMON,
      f"data.train=jsonl:{folder}/train.jsonl",
      f"data.validation=jsonl:{folder}/val.jsonl",
      *more,
    ),
  )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A run that has learnt it; its folder and its summary."""
  folder = tmp_path_factory.mktemp("run")
  made = recipe(folder)
  return folder, loop.fit(made, folder / "run")


def test_it_learns_to_answer(run):
  _, summary = run
  assert summary["before"]["val/perplexity"] > 5
  assert summary["metrics"]["val/perplexity"] < 1.3
  assert np.isclose(
    np.log(summary["metrics"]["val/perplexity"]), summary["metrics"]["val/loss"]
  )


def test_predict_writes_the_answers(run):
  folder, _ = run
  (folder / "asked.jsonl").write_text('{"q": "f+c"}\n{"q": "f+h"}\n')
  (folder / "asked.txt").write_text("f+c=\n")
  rows, skipped = predictions.predict_files(
    folder / "run", [str(folder / "asked.jsonl"), str(folder / "asked.txt")]
  )
  assert not skipped
  assert [row["text"] for row in rows] == ["cc", "hh", "cc"]
  assert rows[0] == {"input": "f+c=", "text": "cc", "tokens": 3, "ended": True}


@pytest.mark.full
def test_the_command_prints_what_is_written(run, capsys):
  folder, _ = run
  (folder / "one.txt").write_text("f+c=\n")
  command = ["predict", f"--workdir={folder / 'run'}", str(folder / "one.txt")]
  assert main.main(command) == 0
  assert capsys.readouterr().out == "f+c=\tcc\n"
  drawn = [*command, "--temperature=1", "--top-k=3", "--max-new-tokens=1"]
  assert main.main([*drawn, "--json"]) == 0
  (row,) = json.loads(capsys.readouterr().out)["predictions"]
  assert row["tokens"] == 1
  assert main.main([*command, "--top-k=3"]) != 0
  assert "temperature=0 draws nothing" in capsys.readouterr().err


def test_a_stop_token_must_be_one(run):
  folder, _ = run
  with pytest.raises(UserError, match="'zz' is no single token"):
    predictions.predict_files(
      folder / "run",
      [str(folder / "asked.txt")],
      generation={"stop": ("zz",)},
    )


def test_the_report_and_the_record_tell_of_tokens(run):
  folder, _ = run
  facts = json.loads((folder / "run" / "run.json").read_text())
  train = facts["data"]["train"]
  assert (train["examples"], train["rows"], train["cut"]) == (40, 40, 0)
  # <|user|>, three letters and "=", <|bot|> and two letters are read.
  assert train["tokens"] == 40 * 8
  assert train["tokens_to_learn"] == 40 * 3  # two letters and the end
  assert (folder / "run" / "report.html").exists()


@pytest.mark.slow
def test_a_packed_batch_has_the_losses_of_its_documents(tmp_path):
  plain = build.build(recipe(tmp_path))
  made = recipe(tmp_path, "data.packing=true", "train.batch_size=4")
  packed = build.build(made)
  assert len(packed.splits.train.source) == 20  # two documents of 8 tokens each
  means = []
  for run in (plain, packed):
    source = run.splits.train.source
    rows = run.splits.train.examples.take(np.arange(len(source)), 16)
    batch = {**rows, "mask": np.ones(len(source), np.float32)}
    inputs = {k: v for k, v in batch.items() if k not in ("label", "mask")}
    outputs = run.net.apply(run.net.variables, inputs)
    loss = np.asarray(run.task.loss(outputs, batch))
    weight = np.asarray(run.task.weights(batch))
    means.append(sorted(loss) if run is plain else loss)
    if run is packed:
      assert weight.tolist() == [6] * 20
      # Each row holds the two documents that come to it: their mean.
      total = np.average(loss, weights=weight)
      np.testing.assert_allclose(total, np.mean(means[0]), rtol=1e-5)


@pytest.mark.full
def test_check_and_inspect_show_what_is_learnt(tmp_path):
  made = recipe(tmp_path, "train.steps=4")
  found = preflight.full(build.build(made), steps=40)
  shown = {f.check: f for f in found}
  assert shown["labels"].level == "warning"  # 120 tokens are few
  assert "train 120 of 320 (37.5 %)" in shown["labels"].message
  text = inspect.inspect_config(made).batch
  assert "read      6  <|user|>" in text
  learnt = [line for line in text.splitlines() if "learn" in line]
  assert any(line.endswith("</s>") for line in learnt)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    (("data.max_length=5",), "the answer begins after data.max_length=5"),
    (("data.max_length=65",), "reads 64 tokens at most"),
    (("data.template=none", "data.eos_token=<end>"), "is no token of"),
    (("data.template=there.jinja",), "no readable file"),
    (("data.response=",), "belong together"),
    (("data.messages_column=m",), "give one of the two"),
    (("task.class_balance=balanced",), "task.class_balance is of"),
    (("generate.top_p=0.5",), "temperature=0 draws nothing"),
    (("stop.metric=val/accuracy",), "choose one of val/loss"),
    (("task.name=classification",), "it needs task.name='causal_lm'"),
  ],
)
def test_what_cannot_be_meant_is_named(tmp_path, changes, message):
  with pytest.raises(UserError, match=message):
    build.build(recipe(tmp_path, *changes))


def test_a_chat_needs_a_template(tmp_path):
  made = recipe(tmp_path)
  tiny.write_llama(tmp_path, chat=False)
  with pytest.raises(UserError, match="the tokenizer has no chat template"):
    build.build(made)
