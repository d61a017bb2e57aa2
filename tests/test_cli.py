"""The `jft` command: every subcommand, in this process, and its exit codes."""

import contextlib
import csv
import io
import json
import os
import pathlib
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
import tiny
from PIL import Image
from sklearn.datasets import load_digits

from jft import config, loop
from jft.build.check import DETERMINISTIC, check
from jft.cli import flags, predict
from jft.cli.main import main
from jft.errors import UserError

GOLDEN = pathlib.Path(__file__).parent / "golden" / "cli"
ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="module", autouse=True)
def preset():
  with pytest.MonkeyPatch.context() as patch:
    tiny.add_preset(patch)
    # Test files of their own draw them; here they are only slow.
    tiny.draw_nothing(patch)
    yield


def options(*overrides):
  return [f"--config.{text}" for text in overrides]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
  """A run that was trained by `jft train --json`, and what that printed."""
  folder = tmp_path_factory.mktemp("run")
  source = tiny.write(folder)
  workdir = folder / "workdir"
  argv = [
    *("train", "--config=default", f"--workdir={workdir}", "--json"),
    *options(*tiny.overrides(source, "train.steps=4", "eval.batch_size=64")),
  ]
  out, err = io.StringIO(), io.StringIO()
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
    code = main(argv)
  return workdir, code, out.getvalue(), err.getvalue(), argv


def said(capsys, argv, code=0):
  assert main(list(map(str, argv))) == code
  return capsys.readouterr()


def strict(text):
  """JSON as every reader takes it: no NaN."""
  return json.loads(text, parse_constant=pytest.fail)


# --- help --------------------------------------------------------------------


def golden(name, got):
  """Compares with the file, but for what the compiler counts."""
  path = GOLDEN / f"{name}.txt"
  if "JFT_WRITE_GOLDEN" in os.environ:
    path.write_text(got)
  number = re.compile(
    r"[\d.]+(?= [TGM]?FLOP)|[\d.]+(?= % of training)"
    r"|(?m:^(?:predict|train the head|train everything)  .*)"
  )
  assert number.sub("#", got) == number.sub("#", path.read_text())


@pytest.mark.parametrize(
  "command",
  [
    "",
    "train",
    "evaluate",
    "predict",
    "export",
    "inspect",
    "models",
    "check",
    "augment",
    "replay",
    "prove-resume",
    "bisect",
  ],
)
def test_help(command, capsys, monkeypatch):
  monkeypatch.setenv("COLUMNS", "80")
  with pytest.raises(SystemExit) as end:
    main([*filter(None, [command]), "--help"])
  assert end.value.code == 0
  golden("_".join(filter(None, [command, "help"])), capsys.readouterr().out)


@pytest.mark.slow
def test_inspect_of_the_quickstart(capsys, monkeypatch):
  monkeypatch.chdir(ROOT)
  out = said(capsys, ["inspect", "--config=configs/quickstart.py"]).out
  golden("inspect_quickstart", out)


@pytest.mark.slow
def test_inspect_of_a_source(capsys):
  out = said(capsys, ["inspect", "jft:resnet14_mnist"]).out
  golden("inspect_resnet14_mnist", out)


def test_models(capsys):
  out = said(capsys, ["models", "resnet1*"]).out
  golden("models", out)
  found = strict(said(capsys, ["models", "resnet18", "--json"]).out)
  assert found["models"][0]["name"] == "resnet18"


def test_nothing_at_all_is_the_help(capsys):
  assert said(capsys, []).out.startswith("usage: jft [-h]")


def test_version(capsys):
  with pytest.raises(SystemExit):
    main(["--version"])
  assert re.fullmatch(r"jft \d+\.\d+\.\d+\n", capsys.readouterr().out)


# --- mistakes ----------------------------------------------------------------


@pytest.mark.parametrize(
  ("argv", "message"),
  [
    (
      ["train", "--config=quickstart", "--config.optim.ir=1", "--workdir={}"],
      "jft: error: unknown key 'optim.ir'. Did you mean 'optim.lr'",
    ),
    (
      ["train", "--config=quickstrat", "--workdir={}"],
      "jft: error: no config file 'quickstrat'; recipes that come with jft:"
      " quickstart",
    ),
    (
      [
        "train",
        "--config=quickstart",
        "--workdir={}",
        "--config.train.steps=0",
      ],
      "jft: error: train.epochs=0.0 and train.steps=0: give exactly one",
    ),
    (["evaluate", "--workdir={}"], "is no run of jft: it holds no run.json."),
    (["predict", "--workdir={}", "x.png"], "is no run of jft"),
    (["inspect"], "give either a SOURCE or a --config, and not both."),
    (["inspect", "jft:x", "--config=y"], "give either a SOURCE or a --config"),
    (
      ["inspect", "jft:x", "--config.optim.lr=1"],
      "--config.optim.lr=1 needs a --config to change.",
    ),
    (
      ["inspect", "--config=quickstart", "--arch=resnet18"],
      "with a --config, say --config.model.arch=resnet18.",
    ),
    (["inspect", "jft:resnet41"], "'jft:resnet41' is not shipped with jft"),
    (
      ["inspect", "jft:x", "--batch-size=0"],
      "--batch-size=0 must be at least 1.",
    ),
    (["models", "resnt50"], "no architecture fits 'resnt50'. Did you mean"),
    (
      ["check", "--config=quickstart", "--steps=1"],
      "jft: error: --steps=1 must be 2 or more.",
    ),
    (
      ["check", "--config=quickstart", "--config.data.train=folder:{}"],
      "is not a folder.",
    ),
  ],
)
def test_mistakes_are_one_line_and_exit_code_2(argv, message, capsys, tmp_path):
  argv = [text.replace("{}", str(tmp_path / "run")) for text in argv]
  out, err = said(capsys, argv, code=2)
  assert out == ""
  assert message in err
  assert err.count("\n") == 1
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
  ("argv", "message"),
  [
    (["trian"], "invalid choice: 'trian'"),
    (["train", "--config=x"], "arguments are required: --workdir"),
    (
      ["train", "--config=x", "--workdir=y", "--confg.seed=1"],
      "unknown argument '--confg.seed=1'",
    ),
    (
      ["evaluate", "--workdir=y", "--config.seed=1"],
      "unknown argument '--config.seed=1'",
    ),
    (["train", "--conf=x", "--workdir=y"], "are required: --config"),
  ],
)
def test_usage_errors(argv, message, capsys):
  with pytest.raises(SystemExit) as end:
    main(argv)
  assert end.value.code == 2
  assert message in capsys.readouterr().err


@pytest.mark.parametrize(
  ("error", "code", "text"),
  [
    (KeyboardInterrupt(), 130, "jft: interrupted\n"),
    (loop.Diverged("too often"), 1, "jft: failed: too often\n"),
    (
      PermissionError(13, "Permission denied", "/x"),
      2,
      "jft: error: [Errno 13] Permission denied: '/x'\n",
    ),
  ],
)
def test_exit_codes(error, code, text, capsys, monkeypatch, tmp_path):
  def fit(*args, **kwargs):
    raise error

  monkeypatch.setattr(loop, "fit", fit)
  argv = ["train", "--config=quickstart", f"--workdir={tmp_path}"]
  assert said(capsys, argv, code) == ("", text)


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch, tmp_path):
  def fit(*args, **kwargs):
    raise RuntimeError("ours")

  monkeypatch.setattr(loop, "fit", fit)
  with pytest.raises(RuntimeError, match="ours"):
    main(["train", "--config=quickstart", f"--workdir={tmp_path}"])


# --- train and evaluate ------------------------------------------------------


def test_train_json(trained):
  workdir, code, out, err, argv = trained
  assert code == 0
  assert strict(out) == strict((workdir / "summary.json").read_text())
  assert "step 4/4  val/accuracy" in err  # the progress, on the other stream
  saved = strict((workdir / "run.json").read_text())
  assert saved["command"] == ["jft", *argv]


def test_train_again_tells_where_everything_is(trained, capsys):
  workdir, *_, argv = trained
  out = said(capsys, [text for text in argv if text != "--json"]).out
  assert "resumed at step 4" in out
  assert "completed: best step 4 restored, metrics computed again\n" in out
  assert out.endswith(f"  checkpoints  {workdir / 'checkpoints'}\n")


def test_another_config_in_its_workdir(trained, capsys):
  *_, argv = trained
  out, err = said(capsys, [*argv, "--config.seed=1"], code=2)
  assert out == ""
  assert "holds the run of another config:\n  seed: 0 -> 1\n" in err


@pytest.mark.parametrize("split", ["val", "test", None])
def test_evaluate_json(trained, capsys, split):
  workdir, _, out, *_ = trained
  metrics = strict(out)["metrics"]
  argv = ["evaluate", f"--workdir={workdir}", "--json"]
  found = strict(
    said(capsys, argv + ([f"--split={split}"] if split else [])).out
  )
  wanted = split or "test"
  assert (found["split"], found["step"]) == (wanted, 4)
  assert found["examples"] == {"val": 171, "test": 192}[wanted]
  for name, value in found["metrics"].items():
    assert value == pytest.approx(metrics[f"{wanted}/{name}"], rel=1e-6)
  assert [row["name"] for row in found["classes"]] == list("0123456789")
  assert np.sum(found["confusion"]) == found["examples"]


def test_evaluate_as_a_table(trained, capsys):
  lines = said(capsys, ["evaluate", f"--workdir={trained[0]}"]).out.splitlines()
  assert lines[0] == "test: 192 examples, step 4"
  assert len(lines) == 4 + 1 + 10
  assert lines[4].split() == ["class", "precision", "recall", "F1", "support"]


# --- predict -----------------------------------------------------------------


@pytest.fixture
def images(tmp_path, monkeypatch):
  """Three digits as files in the current folder, one with a bad name."""
  monkeypatch.chdir(tmp_path)
  pixels = np.round(load_digits().images[:3] * (255 / 16)).astype(np.uint8)
  names = ["zero.png", "=one.png", "two.png"]
  for name, image in zip(names, pixels, strict=True):
    Image.fromarray(image).save(tmp_path / name)
  return names


def test_predict_json(trained, images, capsys):
  argv = ["predict", f"--workdir={trained[0]}", "--json", *images]
  found = strict(said(capsys, argv).out)
  assert found["skipped"] == []
  assert [row["input"] for row in found["predictions"]] == images
  for row in found["predictions"]:
    assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert row["probability"] == max(row["probabilities"].values())
    assert row["probabilities"][row["label"]] == row["probability"]
  # One by one, and in another order, the same.
  argv = ["predict", f"--workdir={trained[0]}", "--json"]
  (alone,) = strict(said(capsys, [*argv, images[2]]).out)["predictions"]
  assert alone["probability"] == pytest.approx(
    found["predictions"][2]["probability"], abs=2e-6
  )


def test_predict_lines_and_jsonl(trained, images, capsys):
  argv = ["predict", f"--workdir={trained[0]}", *images]
  lines = said(capsys, argv).out.splitlines()
  assert [line.split("\t")[0] for line in lines] == images
  out = said(capsys, [*argv, "--output=out.jsonl"]).out
  assert out == "3 predictions in out.jsonl\n"
  written = pathlib.Path("out.jsonl").read_text().splitlines()
  rows = [json.loads(line) for line in written]
  assert [
    f"{r['input']}\t{r['label']}\t{r['probability']:.4f}" for r in rows
  ] == lines


def test_predict_csv_is_no_formula(trained, images, capsys):
  argv = ["predict", f"--workdir={trained[0]}", "--output=out.csv", *images]
  said(capsys, argv)
  with pathlib.Path("out.csv").open(newline="") as file:
    header, *rows = csv.reader(file)
  assert header == ["input", "label", "probability", *"0123456789"]
  assert [row[0] for row in rows] == ["zero.png", "'=one.png", "two.png"]
  assert all(len(row) == 13 for row in rows)


@pytest.mark.parametrize(
  "text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "\uff1d1+1"]
)
def test_formulas_are_quoted(text):
  row = {"input": text, "label": text, "probability": 1.0}
  written = predict._csv([{**row, "probabilities": {text: 1.0}}])
  header, cells = csv.reader(io.StringIO(written, newline=""))
  assert header[3] == cells[0] == cells[1] == "'" + text


def test_a_cell_is_one_cell_wherever_it_is_split():
  row = {"input": "a;=1+1", "label": 'b"\n=2', "probability": 0.5}
  written = predict._csv([{**row, "probabilities": {"c;=3": 0.5}}])
  assert written == (
    '"input","label","probability","c;=3"\r\n"a;=1+1","b""\n=2",0.5,0.5\r\n'
  )


@pytest.mark.slow
def test_a_file_name_that_is_no_utf8_is_printed_and_written(tmp_path):
  # In a process of its own: pytest's own output takes any text.
  code = (
    "import json, sys; from jft.cli import main, predict\n"
    "from jft import predictions, atomic\n"
    "row = {'input': 'a\\udcff', 'label': 'b', 'probability': 1.0,"
    " 'probabilities': {'b': 1.0}}\n"
    "predictions.predict_files = lambda *a, **k: ([row], [])\n"
    "from jft.cli import flags; flags.of_run = lambda workdir: None\n"
    "argv = ['predict', '--workdir=x', 'a']\n"
    "sys.exit(main.main(argv) or main.main([*argv, '--output=x.jsonl'])"
    " or main.main([*argv, '--output=x.csv']))\n"
  )
  done = subprocess.run(
    [sys.executable, "-c", code],
    cwd=tmp_path,
    env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
    capture_output=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr.decode()
  assert done.stdout.splitlines()[0] == b"a\\udcff\tb\t1.0000"
  (row,) = (tmp_path / "x.jsonl").read_bytes().splitlines()
  assert json.loads(row)["input"] == "a\udcff"
  assert b'"a\\udcff","b",1.0' in (tmp_path / "x.csv").read_bytes()


def test_unreadable_images(trained, images, capsys):
  pathlib.Path("two.png").write_bytes(b"no image")
  pathlib.Path("zero.png").write_bytes(
    pathlib.Path("zero.png").read_bytes()[:60]
  )
  argv = ["predict", f"--workdir={trained[0]}", "--json", *images, "gone.png"]
  out, err = said(capsys, argv, code=2)
  assert out == ""
  assert "3 of 4 images cannot be read, the first: zero.png (" in err
  assert "give --on-error=skip" in err
  out, err = said(capsys, [*argv, "--on-error=skip"])
  found = strict(out)
  assert found["skipped"] == ["zero.png", "two.png", "gone.png"]
  assert [row["input"] for row in found["predictions"]] == ["=one.png"]
  assert [line.split(":")[0] for line in err.splitlines()] == [
    "skipped zero.png",
    "skipped two.png",
    "skipped gone.png",
  ]
  argv = ["predict", f"--workdir={trained[0]}", "gone.png", "--on-error=skip"]
  assert said(capsys, argv).out.strip() == ""


@pytest.mark.parametrize(
  ("output", "message"),
  [
    ("out.txt", "the suffix must be .jsonl or .csv"),
    ("no/such/out.csv", "there is no such folder"),
  ],
)
def test_a_bad_output_is_told_first(trained, images, capsys, output, message):
  argv = ["predict", f"--workdir={trained[0]}", f"--output={output}", *images]
  assert message in said(capsys, argv, code=2).err


def test_a_run_without_checkpoints(trained, capsys, tmp_path):
  copy = tmp_path / "run"
  copy.mkdir()
  (copy / "run.json").write_bytes((trained[0] / "run.json").read_bytes())
  assert (
    "no checkpoint in"
    in said(capsys, ["evaluate", f"--workdir={copy}"], code=2).err
  )


@pytest.mark.slow
def test_texts_from_training_to_csv(tmp_path, capsys):
  tiny.write_bert(tmp_path)
  rows = [
    f"{word} film {i},{word}" for word in ("bad", "good") for i in range(9)
  ]
  (tmp_path / "train.csv").write_text("\n".join(["text,label", *rows]))
  (tmp_path / "new.txt").write_text("=good film\n\nbad\n")
  texts = tiny.overrides(
    tmp_path,
    f"data.train=csv:{tmp_path}/train.csv",
    f"data.validation=csv:{tmp_path}/train.csv",
    *("data.train_examples=0", "data.test_fraction=0", "data.max_length=16"),
    *("tune.preset=linear_probe", "tune.blocks=0", "train.steps=1"),
  )
  workdir = f"--workdir={tmp_path / 'run'}"
  argv = ["train", "--config=default", workdir, *options(*texts)]
  # Every example it is validated on is one it was trained on.
  assert "18 of 18 val examples (100 %) are in train too" in " ".join(
    said(capsys, argv, code=2).err.split()
  )
  assert not (tmp_path / "run").exists()
  texts.append("train.preflight=warn")
  said(capsys, ["train", "--config=default", workdir, *options(*texts)])
  argv = ["predict", workdir, tmp_path / "new.txt", "--json"]
  found = strict(said(capsys, argv).out)["predictions"]
  assert [row["input"] for row in found] == ["=good film", "bad"]
  assert {row["label"] for row in found} <= {"bad", "good"}
  said(capsys, [*argv, f"--output={tmp_path / 'out.csv'}"])
  assert (
    (tmp_path / "out.csv")
    .read_bytes()
    .startswith(
      b'"input","label","probability","bad","good"\r\n"\'=good film",'
    )
  )


# --- check -------------------------------------------------------------------


def test_check_json(trained, capsys):
  source = trained[0].parent / "tiny.safetensors"
  argv = ["check", "--config=default", "--json", "--steps=2", "--limit=50"]
  argv += options(*tiny.overrides(source, "tune.head_first=0.5"))
  found = strict(said(capsys, argv).out)
  levels = {row["check"]: row["level"] for row in found["findings"]}
  assert found["ok"]
  assert levels == {
    **dict.fromkeys(("labels", "leaks", "start_loss", "images"), "ok"),
    "inputs": "note",
    "near_duplicates": "note",
    "view": "ok",
    "gradient": "ok",
    "overfit": "warning",
  }


def test_augment_draws_a_sheet(tmp_path, capsys, monkeypatch):
  output = tmp_path / "sheet.png"
  command = [
    "augment",
    "--config=quickstart",
    f"--output={output}",
    "--rows=2",
    "--columns=2",
    "--config.data.augment=flip",
  ]
  found = strict(said(capsys, [*command, "--json"]).out)
  assert found["output"] == str(output)
  assert [len(row) for row in found["labels"]] == [3, 3]
  assert output.read_bytes()[:4] == b"\x89PNG"
  assert "--rows=0" in said(capsys, [*command, "--rows=0"], code=2).err
  assert ".png" in said(capsys, [*command, "--output=x.jpg"], code=2).err


def test_check_of_a_broken_set(tmp_path, capsys):
  tiny.write_bert(tmp_path)
  rows = "".join(f"bad film {i},bad\n" for i in range(9))
  (tmp_path / "train.csv").write_text("text,label\n" + rows)
  broken = options(
    *(f"model.source={tmp_path}", f"data.train=csv:{tmp_path}/train.csv"),
    *(f"data.validation=csv:{tmp_path}/train.csv", "data.max_length=16"),
    *("data.label_names=bad,good", "train.steps=9", "train.batch_size=8"),
    *("tune.preset=linear_probe", "train.devices=1"),
  )
  out, err = said(capsys, ["check", "--config=default", *broken], code=1)
  assert "error    labels: 1 of 2 classes have no training example: good" in out
  assert "error    leaks: 9 of 9 val examples (100 %) are in train too" in out
  # The numbers are unknown words.
  assert out.endswith("\n2 errors, 1 warning\n")
  assert err == ""


# --- inspect -----------------------------------------------------------------


def test_inspect_json_and_leaves(trained, capsys):
  source = trained[0].parent / "tiny.safetensors"
  found = strict(said(capsys, ["inspect", source, "--json"]).out)
  assert found["spec"]["params"] == 1382
  assert found["load"] == {"loaded": 32}
  out = said(capsys, ["inspect", source, "--leaves"]).out
  assert re.search(r"\n  kernel +8 x 10\n", out)
  assert "trainable" not in out


# --- proofs ------------------------------------------------------------------


def test_replay_is_identical(trained, capsys):
  said_ = said(capsys, ["replay", trained[0]]).out
  assert said_.startswith(
    "identical: 4 updates (loss, gradient norm, sample ids), 1 states of"
  )
  found = json.loads(
    said(capsys, ["replay", trained[0], "--steps=2", "--json"]).out
  )
  assert (found["identical"], found["updates"], found["states"]) == (True, 2, 0)


def test_bisect_names_the_first_difference(trained, capsys, tmp_path):
  argv = [
    f"--workdir={tmp_path}" if text.startswith("--workdir") else text
    for text in trained[4]
  ]
  said(capsys, [*argv, *options("optim.lr=0.03")])
  out = said(capsys, ["bisect", trained[0], tmp_path], code=1).out
  first, *rest = out.splitlines()
  # The first update's loss and gradient come before the optimizer.
  assert first == "different, first at update 2: loss"
  assert rest[0].startswith(f"  {trained[0]}  ")
  assert rest[2].startswith("  first differing state, after update 4: params/")
  assert rest[3:] == ["different config:", "  optim.lr: 0.02 -> 0.03"]
  found = json.loads(
    said(capsys, ["bisect", trained[0], tmp_path, "--json"], code=1).out
  )
  assert found["difference"]["step"] == 2


# --- flags -------------------------------------------------------------------


@pytest.mark.parametrize("before", [None, "--xla_foo=1"])
def test_deterministic_adds_its_flag_once(before, monkeypatch):
  monkeypatch.delenv("XLA_FLAGS", raising=False)
  if before:
    monkeypatch.setenv("XLA_FLAGS", before)
  recipe = config.load("quickstart", ["deterministic=true"])
  flags.for_config(recipe)
  flags.for_config(recipe)
  found = os.environ["XLA_FLAGS"].split()
  assert found.count("--xla_gpu_deterministic_ops=true") == 1
  assert before is None or found[0] == before


def test_the_flag_is_one_that_xla_knows():
  """XLA ends the process at a flag that it does not know."""
  env = {**os.environ, "XLA_FLAGS": DETERMINISTIC}
  code = "import jax; jax.numpy.zeros(1)"
  subprocess.run([sys.executable, "-c", code], env=env, check=True)


def test_a_gpu_without_the_flag_is_refused(monkeypatch):
  monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
  recipe = config.load("quickstart", ["deterministic=true"])
  with pytest.raises(UserError, match="xla_gpu_deterministic_ops=true in XLA"):
    check(recipe)
  monkeypatch.setenv("XLA_FLAGS", DETERMINISTIC)
  check(recipe)
