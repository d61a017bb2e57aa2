"""From a config to functions: contradictions, data, what is trained, when."""

import json

import jax
import numpy as np
import optax
import pytest
import tiny
from PIL import Image

from jft import config as configs
from jft import loop, optimizers, tree
from jft.build import build, check
from jft.build.data import make_sources
from jft.build.inputs import read_inputs
from jft.build.lengths import total_steps
from jft.build.sources import open_source
from jft.build.tuning import make_tuning
from jft.errors import UserError

SOUND = (
  "model.source=jft:resnet14_mnist",
  "data.train=sklearn:digits",
  "train.steps=10",
)


def recipe(*overrides):
  return configs.load("default", [*SOUND, *overrides])


@pytest.fixture(autouse=True)
def preset(monkeypatch):
  tiny.add_preset(monkeypatch)


# --- contradictions ----------------------------------------------------------


def test_recipes_are_sound(monkeypatch):
  for path in configs.recipes_folder().glob("*.py"):
    if path.stem != "default":
      check(configs.load(path.stem))


@pytest.mark.parametrize(
  ("overrides", "message"),
  [
    (
      ["optim.name=adamv"],
      "optim.name='adamv': choose one of adamw, adam, sgd, lamb, lars, lion,"
      " adafactor, muon, schedule_free, prodigy."
      " Did you mean 'adam' or 'adamw'?",
    ),
    (["model.dtype=float16"], "model.dtype='float16': choose one of float32"),
    (
      ["tune.preset=top"],
      "tune.preset='top': choose one of full, linear_probe",
    ),
    (["stop.metric=test/accuracy"], "choose one of val/accuracy, val/loss."),
    (["optim.lr=0"], "optim.lr=0.0 must be above 0 and finite."),
    (["optim.lr=1e999"], "optim.lr=inf must be above 0 and finite."),
    (["train.batch_size=0"], "train.batch_size=0 must be above 0"),
    (["stop.patience=-1"], "stop.patience=-1 must be finite and not negative."),
    (["optim.clip_norm=-1.0"], "optim.clip_norm=-1.0 must be finite and not"),
    (["task.label_smoothing=1.0"], "task.label_smoothing=1.0 is a share, in"),
    (["tune.head_first=1.5"], "tune.head_first=1.5 is a share, in [0, 1)."),
    (["data.test_fraction=-0.1"], "data.test_fraction=-0.1 is a share, in"),
    (
      ["optim.momentum=1.0"],
      "optim.momentum=1.0 must be in [0, 1), or -1.0 for",
    ),
    (["guard.lr_cut=2.0"], "guard.lr_cut=2.0 must lie in [0, 1]."),
    (["data.crop_pct=1.5"], "data.crop_pct=1.5 must lie in [0, 1]."),
    (["model.source="], "model.source is empty: say what to start from"),
    (
      ["model.source=", "model.arch=resnet18"],
      "model.arch='resnet18' without model.source has no weights to load",
    ),
    (["data.train="], "data.train is empty: say where the examples are"),
    (
      ["data.validation_fraction=0.5", "data.test_fraction=0.5"],
      "data.validation_fraction + data.test_fraction = 1.0 leaves nothing",
    ),
    (["data.validation_fraction=0"], "no validation data: the best checkpoint"),
    (
      ["tune.rules=[('.*', 'head')]"],
      "tune.preset='full' and tune.rules=(('.*', 'head'),): give exactly one",
    ),
    (["tune.preset="], "tune.preset='' and tune.rules=(): give exactly one"),
    (
      ["tune.preset=", "tune.rules=head"],
      "tune.rules holds 'head': expected ((regex, label), ...), such as",
    ),
    (["tune.preset=", "tune.rules=(('a', 1),)"], "tune.rules holds ('a', 1)"),
    (["tune.blocks=2"], "tune.blocks=2 needs tune.preset='top_blocks', got"),
    (
      ["tune.preset=linear_probe", "tune.head_first=0.5"],
      "tune.head_first: nothing joins the head under tune.preset=",
    ),
    (
      ["train.epochs=1.0"],
      "train.epochs=1.0 and train.steps=10: give exactly one of the two.",
    ),
    (["train.steps=0"], "train.epochs=0.0 and train.steps=0: give exactly one"),
    (["train.steps=-1"], "train.epochs and train.steps must not be negative."),
    (
      ["eval.every_epochs=1.0", "eval.every_steps=5"],
      "eval.every_epochs=1.0 and eval.every_steps=5: give at most one",
    ),
    (["train.devices=9"], "train.devices=9: this machine has 8."),
    (
      ["train.batch_size=24", "train.accumulate=2"],
      "train.batch_size=24 does not divide by 8 devices x train.accumulate=2;"
      " choose a multiple of 16.",
    ),
    (
      ["optim.name=sgd", "optim.weight_decay=0.1"],
      "optim.name='sgd': weight_decay=0.1 is decoupled, which 'sgd' does not",
    ),
    (["optim.step_boundaries=0.5,2"], "must be shares of the run, between 0"),
    (["optim.step_boundaries=a,b"], "optim.step_boundaries=('a', 'b') must be"),
    (
      ["stop.metric=val/loss"],
      "stop.mode='max': of stop.metric='val/loss' the min is best; set"
      " stop.mode='min'.",
    ),
    (["stop.mode=min"], "of stop.metric='val/accuracy' the max is best"),
    (["seed=-1"], "seed=-1 must be finite and not negative."),
    (["seed=4294967296"], "seed=4294967296 must be a number up to 2.15e+09."),
    (["train.steps=9999999999"], "train.steps=9999999999 must be a number up"),
    (
      ["train.steps=0", "train.epochs=1e999"],
      "train.epochs=inf must be a number up to 1e+06.",
    ),
    (["eval.every_epochs=1e300"], "eval.every_epochs=1e+300 must be a number"),
    (["optim.eps=-2.0"], "optim.eps=-2.0 must be in [0, 1), or -1.0 for"),
    (["data.label_names=1,"], "data.label_names=(1,) must be texts, such as"),
    (["data.label_names=a,a"], "data.label_names=('a', 'a') names a class twi"),
    (["data.text_column=" + "9" * 5000], "no file has that column."),
  ],
)
def test_contradictions(overrides, message):
  with pytest.raises(UserError) as error:
    check(recipe(*overrides))
  assert message in str(error.value)


# --- nothing is left of a run that cannot be ---------------------------------


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
  return tiny.write(tmp_path_factory.mktemp("weights"))


@pytest.mark.parametrize(
  ("overrides", "message"),
  [
    (["model.source=jft:resnet14_fashon"], r"Did you mean 'resnet14_mnist'"),
    (["model.source=no/such/file.pth"], r"has no 'no'|no 'no'|no/such"),
    (["model.arch=resnet99"], r"no architecture 'resnet99'"),
    (["model.pooling=cls"], r"resnet has no option 'pooling'"),
    (["data.train=sklearn:iris"], r"'sklearn:iris': there is sklearn:digits"),
    (["data.train=cvs:x.csv"], r"expected one of .* Did you mean 'csv'"),
    (["data.train=csv:$NO_SUCH/x.csv"], r"variable NO_SUCH is not set"),
    (["data.train=csv:{tmp}/missing.csv"], r"missing.csv: No such file"),
    (["data.train=csv:{tmp}/empty.csv"], r"empty.csv: no column 'text'"),
    (["data.train=csv:{tmp}/header.csv"], r"header.csv holds no examples"),
    (["data.train=jsonl:{tmp}/bad.jsonl"], r"bad.jsonl:2: not JSON"),
    (
      ["data.train=csv:{tmp}/labels.csv", "data.label_names=bad,good"],
      r"labels.csv:3: label 'goood' is none of the 2 classes .*'good'",
    ),
    (["data.train=folder:{tmp}/nothing"], r"nothing is not a folder"),
    (["data.train=folder:{tmp}/empty"], r"empty holds no class folders"),
    (
      ["data.train=folder:{tmp}/broken", "data.train_examples=0"],
      r"png: cannot decode this image",
    ),
    (["data.train_examples=16000"], r"n must be from 1 to \d+ .* got 16000"),
    (["data.train_examples=10"], r"batch_size=16 is more than the 10 examples"),
    (["data.validation_fraction=1e-6"], r"'val' got none of the 1797 examples"),
    (["tune.blocks=3"], r"top_blocks\(n=3\): the model has 2 blocks"),
    (
      [
        "tune.preset=",
        "tune.blocks=0",
        "tune.rules=[('haed/.*','a'),('.*','b')]",
      ],
      r"rule 'haed/.\*' matches none of the 20 names \(near: .*head",
    ),
    (["optim.warmup_steps=12"], r"warmup_steps=12 must be below the 12 steps"),
    (["tune.head_first=0.99"], r"head_first=0.99 leaves none of the 12 steps"),
  ],
)
def test_a_bad_config_leaves_no_workdir(overrides, message, weights, tmp_path):
  (tmp_path / "empty.csv").touch()
  (tmp_path / "header.csv").write_text("text,label\n")
  (tmp_path / "labels.csv").write_text("text,label\na,good\nb,goood\n")
  (tmp_path / "bad.jsonl").write_text('{"text": "a", "label": 1}\n{"text"\n')
  (tmp_path / "empty").mkdir()
  (tmp_path / "broken" / "ant").mkdir(parents=True)
  for i in range(60):
    (tmp_path / "broken" / "ant" / f"{i}.png").write_bytes(b"no image %d" % i)
  texts = [text.replace("{tmp}", str(tmp_path)) for text in overrides]
  with pytest.raises(UserError, match=message):
    loop.fit(tiny.recipe(weights, *texts), tmp_path / "run")
  assert not (tmp_path / "run").exists()


# --- data --------------------------------------------------------------------


def test_splits_are_cut_where_none_is_given():
  sources = make_sources(recipe("data.test_fraction=0.2"))
  assert {split: len(source) for split, source in sources.items()} == {
    "train": 1259,
    "val": 175,
    "test": 363,
  }
  again = make_sources(recipe("data.test_fraction=0.2", "seed=1"))
  assert len(again["train"]) != 1259
  few = make_sources(recipe("data.train_examples=100"))
  assert len(few["train"]) == 100
  assert "test" not in few


def test_given_splits_share_the_training_classes(tmp_path, monkeypatch):
  for name, label in (("train", "bad"), ("dev", "good")):
    rows = [f"{name} {i}\t{label}" for i in range(3)]
    (tmp_path / f"{name}.tsv").write_text("\n".join(rows) + "\n")
  with (tmp_path / "train.tsv").open("a") as file:
    file.write("more\tgood\n")
  monkeypatch.setenv("FOLDER", str(tmp_path))
  sources = make_sources(
    recipe(
      "data.train=csv:$FOLDER/train.tsv",
      "data.validation=csv:${FOLDER}/dev.tsv",
      "data.header=false",
      "data.text_column=0",
      "data.label_column=1",
    )
  )
  assert sources["train"].label_names == ("bad", "good")
  assert len(sources["train"]) == 4  # nothing is cut off
  assert sources["val"][0] == {"text": "dev 0", "label": 1}


def test_an_unknown_class_in_a_given_split(tmp_path):
  (tmp_path / "train.csv").write_text("text,label\na,x\nb,y\n")
  (tmp_path / "dev.csv").write_text("text,label\na,z\n")
  config = recipe(
    f"data.train=csv:{tmp_path}/train.csv",
    f"data.validation=csv:{tmp_path}/dev.csv",
  )
  with pytest.raises(UserError, match=r"dev.csv:2: label 'z' is none of the 2"):
    make_sources(config)


def test_unreadable_images_of_a_folder_are_skipped_by_name(tmp_path, caplog):
  for name in ("ant", "bee"):
    (tmp_path / name).mkdir()
    for i in range(2):
      pixels = np.full((9, 9, 3), 50 * i, np.uint8)
      Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
  (tmp_path / "bee" / "1.png").write_bytes(b"nothing")
  section = recipe("data.on_error=skip").data
  source = open_source(f"folder:{tmp_path}", section, None)
  assert (len(source), source.label_names) == (3, ("ant", "bee"))
  assert "skipped 1 of 4 images" in caplog.text
  assert "bee/1.png" in caplog.text


def test_texts_to_predict(tmp_path):
  (tmp_path / "a.txt").write_text("one\n\ntwo\n")
  (tmp_path / "b.csv").write_text("id,text\n1,three\n")
  (tmp_path / "c.jsonl").write_text(json.dumps({"text": "four"}) + "\n")
  files = [str(tmp_path / name) for name in ("a.txt", "b.csv", "c.jsonl")]
  names, source, skipped = read_inputs(recipe(), "text", files, "error")
  assert names == ["one", "two", "three", "four"]
  assert [source[i] for i in range(4)] == [{"text": name} for name in names]
  assert skipped == []
  with pytest.raises(UserError, match="is no readable UTF-8 text"):
    read_inputs(recipe(), "text", [str(tmp_path / "none.txt")], "error")


# --- what is trained, when, at which rate ------------------------------------

PARAMS = {
  "stem": {"kernel": np.zeros((2, 2), np.float32)},
  "block_00": {"kernel": np.zeros((2, 2), np.float32)},
  "head": {
    "bias": np.zeros(2, np.float32),
    "kernel": np.ones((2, 2), np.float32),
  },
}


def tuning(*overrides, steps=10):
  return make_tuning(recipe(*overrides), PARAMS, steps)


def test_phases_and_rates():
  made = tuning(
    "tune.preset=top_blocks",
    "tune.blocks=1",
    "tune.head_first=0.4",
    "optim.lr=1.0",
    "optim.backbone_lr_scale=0.5",
    "optim.schedule=linear",
  )
  assert [(p.start_step, sorted(p.labels)) for p in made.phases] == [
    (0, ["head"]),
    (4, ["backbone", "head"]),
  ]
  # Each label's schedule begins with the label: 10 steps and 6.
  assert made.lr_at(0) == {"lr/head": 1.0, "lr/backbone": 0.0}
  assert made.lr_at(4) == pytest.approx({"lr/head": 0.6, "lr/backbone": 0.5})
  assert made.lr_at(7) == pytest.approx({"lr/head": 0.3, "lr/backbone": 0.25})
  state = made.tx(0).init(PARAMS)
  assert jax.tree.structure(state) == jax.tree.structure(
    made.tx(1).init(PARAMS)
  )


@pytest.mark.parametrize(
  ("schedule", "rates"),
  [
    ("constant", [1.0, 1.0, 1.0]),
    ("linear", [1.0, 0.5, 0.1]),
    ("cosine", [1.0, 0.5, 0.0245]),
    ("polynomial", [1.0, 0.25, 0.01]),
    ("step", [1.0, 1.0, 0.01]),
  ],
)
def test_schedules(schedule, rates):
  made = tuning("optim.lr=1.0", f"optim.schedule={schedule}")
  got = [made.lr_at(step)["lr/head"] for step in (0, 5, 9)]
  assert got == pytest.approx(rates, abs=1e-4)


@pytest.mark.parametrize("name", sorted(optimizers.NAMES))
def test_optimizers_move_the_trained_leaves_alone(name):
  made = tuning(f"optim.name={name}", "tune.preset=linear_probe")
  tx = made.tx(0)
  grads = jax.tree.map(np.ones_like, PARAMS)
  updates, _ = tx.update(grads, tx.init(PARAMS), PARAMS)
  moved = {n for n, x in tree.flatten(updates).items() if np.any(x)}
  assert moved >= {"head/kernel"}
  assert moved <= {"head/kernel", "head/bias"}


def test_decay_spares_the_biases():
  made = tuning("optim.weight_decay=0.1", "tune.preset=linear_probe")
  tx = made.tx(0)
  zeros = jax.tree.map(np.zeros_like, PARAMS)
  params = jax.tree.map(np.ones_like, PARAMS)
  updates, _ = tx.update(zeros, tx.init(params), params)
  new = optax.apply_updates(params, updates)
  np.testing.assert_array_equal(new["head"]["bias"], [1, 1])
  np.testing.assert_allclose(new["head"]["kernel"], 1 - 1e-3 * 0.1, rtol=1e-7)


def test_head_first_needs_a_head_and_something_else():
  rules = "tune.rules=[('head/.*', 'a'), ('.*', 'b')]"
  with pytest.raises(
    UserError, match=r"needs the label 'head' .* \['a', 'b'\]"
  ):
    tuning("tune.preset=", rules, "tune.head_first=0.5")


# --- the whole ---------------------------------------------------------------


def test_lengths_in_epochs_and_steps():
  assert total_steps(recipe("train.batch_size=100"), 250) == 10
  epochs = recipe("train.steps=0", "train.epochs=2.0", "train.batch_size=100")
  assert total_steps(epochs, 250) == 5
  # Rounded: two epochs of 216.25 batches end with the second evaluation.
  assert total_steps(epochs, 251) == 5
  assert total_steps(epochs, 280) == 6


def test_a_run_says_what_it_is(weights):
  run = build(
    tiny.recipe(
      weights, "train.steps=0", "train.epochs=0.5", "eval.every_steps=0"
    )
  )
  assert (run.total_steps, run.eval_every, run.batch_size) == (10, 10, 16)
  assert run.label_names == tuple("0123456789")
  assert {
    split: part["examples"] for split, part in run.facts["data"].items()
  } == {
    "train": 320,
    "val": 171,
    "test": 192,
  }
  model = run.facts["model"]
  assert (model["family"], model["preset"]) == ("resnet", "resnet_tiny")
  assert model["params"] == 1382
  assert [row["label"] for row in run.facts["freeze"]] == [
    "backbone",
    "head",
    "freeze",
  ]
  assert run.describe()[0] == (
    f"model  {weights} (resnet_tiny, 1,382 parameters; tensors: 30 loaded, 2"
    " reinit)"
  )
  json.dumps(run.facts)
  # The classes are the data's: the file's own head is not taken over.
  assert run.net.spec.label_names == ()


def test_the_order_skips_batches_by_the_offset(weights):
  run = build(tiny.recipe(weights))
  ids = [
    [np.asarray(batch["id"]).ravel().tolist() for batch in batches]
    for batches in (run.train_batches(0, 4, 0), run.train_batches(0, 2, 2))
  ]
  assert ids[1] == ids[0][2:]
