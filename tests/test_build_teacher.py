"""A teacher beside the student, from the config to the export."""

import json

import numpy as np
import pytest
import tiny
from test_build_objective import classes
from test_completions import recipe as completions

from jft import build, loop, tree, writers
from jft.errors import UserError
from jft.exports import subject


def with_teacher(folder, *more, **changes):
  """A student's config, and a teacher of the same kind in a folder."""
  teacher = folder / "teacher"
  teacher.mkdir()
  tiny.write_bert(teacher)
  card = json.loads((teacher / "config.json").read_text())
  card["id2label"] = {"0": "bad", "1": "good"}
  (teacher / "config.json").write_text(json.dumps({**card, **changes}))
  return classes(folder, f"task.teacher={teacher}", *more)


def test_a_run_with_a_teacher(tmp_path):
  made = with_teacher(tmp_path, "task.teacher_features=0.5")
  run = build.build(made)
  plain = build.build(classes(tmp_path))
  labels = tree.flatten(run.tuning.labels)
  teacher = {name for name in labels if name.startswith("teacher/")}
  assert {labels[name] for name in teacher} == {"freeze"}
  rest = {n: label for n, label in labels.items() if n not in teacher}
  assert rest == tree.flatten(plain.tuning.labels)  # Equal widths: no more.
  assert run.facts["model"]["params"] == plain.facts["model"]["params"]


@pytest.mark.slow
def test_the_student_is_exported_alone(tmp_path):
  made = with_teacher(tmp_path, "task.teacher_features=0.5")
  plain = build.build(classes(tmp_path))
  summary = loop.fit(made, tmp_path / "run")
  assert summary["params_total"] == plain.facts["model"]["params"]
  exported = subject.of_run(tmp_path / "run")
  names = tree.flatten(exported.variables["params"]).keys()
  assert names == tree.flatten(plain.net.params).keys()
  inputs = plain.splits.train.batch_at(0)
  inputs = {n: inputs[n] for n in ("input_ids", "attention_mask")}
  logits = exported.apply(exported.variables, inputs)["logits"]
  assert np.isfinite(logits).all()


@pytest.mark.parametrize(
  ("changes", "more", "message"),
  [
    ({"id2label": {"0": "good", "1": "bad"}}, [], "to the teacher's order"),
    ({}, ["task.teacher_alpha=0"], "the teacher would have no say"),
    ({}, ["task.teacher_temperature=0"], "must be above 0"),
    (
      {},
      ["tune.preset=surgical", "tune.blocks=1"],
      "the plain loss, which task.teacher changes",
    ),
  ],
)
def test_teachers_that_cannot_be_meant(tmp_path, changes, more, message):
  made = with_teacher(tmp_path, *more, **changes)
  with pytest.raises(UserError, match=message):
    build.build(made)


def test_a_teacher_of_other_words(tmp_path):
  made = with_teacher(tmp_path)
  words = [*tiny.WORDS[:5], "bad", "good", *tiny.WORDS[7:]]
  (tmp_path / "teacher/vocab.txt").write_text("\n".join(words) + "\n")
  with pytest.raises(UserError, match="has another tokenizer than the student"):
    build.build(made)


def test_a_teacher_of_other_inputs(tmp_path):
  made = classes(tmp_path, "task.teacher=jft:resnet14_mnist")
  with pytest.raises(UserError, match="has 10 classes, the data 2"):
    build.build(made)


def test_a_teacher_of_another_question(tmp_path):
  made = with_teacher(tmp_path, architectures=["BertForTokenClassification"])
  with pytest.raises(UserError, match="saved for 'tokens', and the student is"):
    build.build(made)


def test_a_language_model_learns_nothing_from_itself(tmp_path):
  teacher = tmp_path / "teacher"
  teacher.mkdir()
  tiny.write_llama(teacher)
  made = completions(
    tmp_path,
    *(f"task.teacher={teacher}", "task.teacher_alpha=1.0"),
    *("train.steps=4", "eval.every_steps=4", "optim.name=sgd"),
  )
  loop.fit(made, tmp_path / "run")
  rows = writers.read_metrics(tmp_path / "run")
  found = [row["train/loss"] for row in rows if "train/loss" in row]
  np.testing.assert_allclose(found, np.zeros(4), atol=1e-6)


def test_new_tokens_are_unknown_to_a_teacher(tmp_path):
  made = completions(
    tmp_path, f"task.teacher={tmp_path}", "model.new_tokens=('<a>',)"
  )
  with pytest.raises(UserError, match="are no words of task"):
    build.build(made)
