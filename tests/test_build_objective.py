"""Losses, weights and sampling, from the config to a step."""

import json

import jax
import numpy as np
import pytest
import tiny

from jft import build, config, loop, losses
from jft.build import objective
from jft.cli import main
from jft.errors import UserError
from jft.preflight import short

COMMON = (
  *("data.train_examples=0", "data.test_fraction=0", "data.max_length=8"),
  *("tune.preset=full", "tune.blocks=0", "train.batch_size=8"),
  *("train.steps=2", "eval.every_steps=2", "data.buckets=1"),
)


def recipe(folder, *more):
  return config.load("default", tiny.overrides(folder, *COMMON, *more))


def classes(folder, *more):
  """Twenty good films and six bad ones."""
  tiny.write_bert(folder)
  rows = [f"good film {i},good" for i in range(20)]
  rows += [f"bad film {i},bad" for i in range(6)]
  for name in ("train", "val"):
    text = "\n".join(["text,label", *rows]).replace("film", f"{name} film")
    (folder / f"{name}.csv").write_text(text)
  data = (
    f"data.train=csv:{folder}/train.csv",
    f"data.validation=csv:{folder}/val.csv",
  )
  return recipe(folder, *data, *more)


def several(folder, *more):
  tiny.write_bert(folder)
  for name in ("train", "val"):
    rows = [
      {
        "text": f"{'good ' * (i % 2)}{'bad ' * (i % 3 == 0)}{name} film {i}",
        "label": ["good"] * (i % 2) + ["bad"] * (i % 3 == 0),
      }
      for i in range(30)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / f"{name}.jsonl").write_text(text)
  return recipe(
    folder,
    *("task.name=multi_label", "stop.metric=val/macro_f1"),
    f"data.train=jsonl:{folder}/train.jsonl",
    f"data.validation=jsonl:{folder}/val.jsonl",
    *more,
  )


def pairs(folder, *more):
  tiny.write_bert(folder)
  for name in ("train", "val"):
    rows = [f"good {i} film,film {name} {i},bad {i}" for i in range(16)]
    (folder / f"{name}.csv").write_text("\n".join(["a,b,c", *rows]))
  return recipe(
    folder,
    *("task.name=retrieval", "stop.metric=val/mrr"),
    f"data.train=csv:{folder}/train.csv",
    f"data.validation=csv:{folder}/val.csv",
    *("data.text_column=a", "data.text_pair_column=b"),
    *more,
  )


def test_balanced_weights_come_from_training(tmp_path):
  run = build.build(classes(tmp_path, "task.class_balance=balanced"))
  assert run.label_names == ("bad", "good")
  batch = {"label": np.array([0, 1]), "mask": np.ones(2, np.float32)}
  want = pytest.approx([26 / 12, 26 / 40])
  assert run.task.loss_weights(batch).tolist() == want


def test_the_adjustment_is_the_logarithm_of_trainings_shares(tmp_path):
  run = build.build(classes(tmp_path, "task.logit_adjustment=2.0"))
  logits = np.array([[0.3, -0.2]], np.float32)
  batch = {"label": np.array([0])}
  got = run.task.minimised({"logits": logits}, batch)
  prior = np.log([6 / 26, 20 / 26]).astype(np.float32)
  want = losses.softmax_cross_entropy(logits + 2 * prior, batch["label"])
  np.testing.assert_allclose(got, want, rtol=1e-6)


def test_balanced_sampling(tmp_path):
  run = build.build(classes(tmp_path, "data.sampling=balanced"))
  batches = [run.splits.train.batch_at(step) for step in range(6)]
  label = np.concatenate([batch["label"] for batch in batches])
  assert abs((label == 0).sum() - 24) <= 4


def test_the_names_of_losses():
  c = config.load("default", ["task.focal_gamma=1.0", "task.loss=focal"]).task
  logits, label = np.ones((1, 2), np.float32), np.array([1])
  got = objective.loss_of(c)(logits, label)
  assert got.tolist() == [pytest.approx(0.5 * np.log(2))]
  c.loss, c.mix = "", (("focal", 2.0), ("cross_entropy", 1.0))
  got = objective.loss_of(c)(logits, label)
  assert got.tolist() == [pytest.approx(2 * np.log(2))]
  c.mix, c.loss = (), "sigmoid_focal"
  # Two answers, each with p = 1 / (1 + e**-1) or its rest.
  p = 1 / (1 + np.exp(-1))
  want = -(1 - p) * np.log(p) - p * np.log(1 - p)
  got = objective.loss_of(c)(logits, label)
  assert got.tolist() == [pytest.approx(want, rel=1e-5)]


def test_several_labels_and_how_many_are_of_each(tmp_path):
  run = build.build(several(tmp_path, "task.class_balance=balanced"))
  assert run.label_names == ("bad", "good")
  assert run.splits.train.batch_at(0)["label"].shape == (8, 2)
  found = {f.check: f for f in short.of_data(run)}
  assert "2 classes, 10 to 15 training examples" in found["labels"].message
  # 20 no's for 10 yes's, and 15 for 15.
  outputs = {"logits": np.zeros((1, 2), np.float32)}
  batch = {"label": np.array([[1, 0]], np.float32)}
  want = pytest.approx(np.log(2) * (2 + 1) / 2)
  assert run.task.minimised(outputs, batch).tolist() == [want]


@pytest.mark.slow
def test_several_labels_from_file_to_file(tmp_path, capsys):
  made = several(tmp_path)
  workdir = tmp_path / "run"
  summary = loop.fit(made, workdir)
  assert summary["metrics"].keys() == {
    f"val/{n}" for n in ("loss", "exact_match", "micro_f1", "macro_f1", "map")
  }
  (tmp_path / "new.txt").write_text("good film\n")
  argv = ["predict", f"--workdir={workdir}", f"{tmp_path}/new.txt", "--json"]
  capsys.readouterr()
  assert main.main(argv) == 0
  (row,) = json.loads(capsys.readouterr().out)["predictions"]
  assert row["probabilities"].keys() == {"bad", "good"}


def test_pairs_are_read_apart_and_compared(tmp_path):
  run = build.build(pairs(tmp_path, "data.negative_column=c"))
  batch = run.splits.train.batch_at(0)
  assert batch["input_ids"].shape == (8, 3, 8)
  found = {f.check: f for f in short.of_data(run)}
  assert "belong together: 16 train, 16 val" in found["labels"].message
  inputs = {n: batch[n] for n in ("input_ids", "attention_mask")}
  shapes = jax.eval_shape(run.net.apply, run.net.variables, inputs)
  assert shapes["features"].shape == (8, 3, 8)
  assert run.task.across


@pytest.mark.parametrize(
  ("make", "more", "message"),
  [
    (classes, ["task.loss=mse"], "'classification' has cross_entropy, focal"),
    (classes, ["task.mix=(('focal', 0),)"], "expected .name of a loss, weight"),
    (classes, ["task.class_weights=(1,2,3)"], "has 3 numbers, and there are 2"),
    (classes, ["task.class_weights=(1,-2)"], "must be numbers above 0"),
    (classes, ["task.pos_weight=(1,2)"], "is of task.name='multi_label'"),
    (
      classes,
      ["task.class_weights=(1,2)", "task.class_balance=balanced"],
      "both say what a class weighs",
    ),
    (
      classes,
      ["task.loss=focal", "task.label_smoothing=0.1"],
      "is of 'cross_entropy'",
    ),
    (
      classes,
      ["data.sampling=balanced", "task.class_balance=balanced"],
      "both make up for rare",
    ),
    (classes, ["data.sampling=even"], "choose one of natural, balanced, sqrt"),
    (classes, ["data.negative_column=c"], "is of task.name='retrieval'"),
    (
      classes,
      ["data.label_columns=('a','b')"],
      "'multi_label'; set data.label",
    ),
    (
      classes,
      ["task.r_drop=1.0", "tune.preset=surgical", "tune.blocks=1"],
      "measures the plain loss, which task.r_drop changes",
    ),
    (several, ["task.class_balance=effective"], "takes 'balanced'"),
    (several, ["data.sampling=sqrt"], "has no one class an example"),
    (
      several,
      ["task.loss=focal", "task.pos_weight=(1,2)"],
      "are of its cross-entropy",
    ),
    (several, ["task.r_drop=1.0"], "compares the classes' probabilities"),
    (pairs, ["task.loss=triplet"], "give data.negative_column, or use"),
    (pairs, ["data.text_pair_column="], "give data.text_pair_column"),
    (pairs, ["train.accumulate=2"], "parts of a batch do not see each other"),
    (pairs, ["task.loss=mse"], "'retrieval' has ranking, triplet"),
    (pairs, ["augment.mixup=0.2"], "mix classes"),
  ],
)
def test_what_cannot_be_meant(tmp_path, make, more, message):
  made = make(tmp_path, *more)
  with pytest.raises(UserError, match=message):
    build.build(made)


def test_a_model_that_drops_nothing_has_no_two_passes(tmp_path):
  made = classes(
    tmp_path,
    *("task.r_drop=1.0", "model.source=jft:resnet14_mnist"),
    "data.train=sklearn:digits",
    "data.validation=",
  )
  with pytest.raises(UserError, match="this model has none"):
    build.build(made)


def test_r_drop_takes_two_passes(tmp_path):
  run = build.build(classes(tmp_path, "task.r_drop=3.0"))
  batch = run.splits.train.batch_at(0)
  inputs = {n: batch[n] for n in ("input_ids", "attention_mask")}
  outputs = jax.eval_shape(
    lambda key: run.net.apply(
      run.net.variables, inputs, train=True, rngs={"dropout": key}
    ),
    jax.random.key(0),
  )
  assert outputs["logits_again"].shape == outputs["logits"].shape == (8, 2)
