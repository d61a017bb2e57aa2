"""Readers of a run's own files, and of what the command line says."""

import contextlib
import functools
import io
import json
import pathlib

import numpy as np
from chaos import mutate
from chaos.reader import Reader, saving

from jft import config as configs
from jft import report, trace, workdir, writers
from jft.build.check import check
from jft.cli import main as cli
from jft.disk import manifest, marks
from jft.disk.record import Record


@functools.cache
def run_files() -> list[bytes]:
  made = configs.load("quickstart").to_dict()
  return [json.dumps({"command": ["jft"], "config": made}).encode()]


def read_run(path: pathlib.Path) -> None:
  saved = workdir.saved_facts(path.parent)
  check(configs.from_dict(saved["config"]))


def read_rows(path: pathlib.Path) -> None:
  rows = writers.read_metrics(path.parent)
  writers.series(rows, "train/loss")


METRICS = (
  {"step": 0, "attempt": 0, "time": 1.5, "event": "phase", "label": "all"},
  {"step": 1, "attempt": 0, "time": 2.5, "train/loss": 1.0},
  {"step": 2, "attempt": 0, "time": 3.5, "train/loss": "NaN"},
  {
    "step": 2,
    "attempt": 1,
    "time": 4,
    "event": "rollback",
    "rolled_back_to": 1,
  },
)


SCORES = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 4}
SUMMARY = {
  "status": "completed",
  "step": 10,
  "best_step": 10,
  "metrics": {"test/accuracy": 0.8125},
  "wall_secs": 75.0,
  "params_trainable": 25,
  "params_total": 200,
  "incidents": [
    {
      "step": 7,
      "reason": "loss",
      "loss": "NaN",
      "grad_norm": 1,
      "median": None,
      "leaf": "params/w",
      "ids": [3, 1, 2],
      "rolled_back_to": 5,
      "action": "lr",
    }
  ],
  # One class alone: a picture of two would take most of the time.
  "report": {
    "split": "test",
    "classes": [{"name": "a", **SCORES}],
    "macro_f1": 0.5,
    "confusion": [[4]],
  },
}
FACTS = {
  "command": ["jft", "train"],
  "config": {"seed": 3},
  "preflight": [{"check": "leaks", "level": "warning", "message": "2 of 9"}],
  "resumes": [{"time": "now", "changed": {"cores": [2, 8]}}],
  "device": {"kind": "cpu", "count": 8, "platform": "cpu"},
  "versions": {"jax": "0"},
  "git": {"commit": "a", "dirty": True},
  "model": {"family": "vit", "source": "a"},
  "load": [
    {
      "name": "a",
      "source": "a",
      "status": "reinit",
      "shape": [2],
      "source_shape": None,
      "reason": "",
    }
  ],
  "data": {"train": {"examples": 3, "sha256": "ab"}},
}


def reported(folder: pathlib.Path) -> None:
  (folder / "run.json").write_text(json.dumps(FACTS))
  (folder / "summary.json").write_text(json.dumps(SUMMARY))
  (folder / "metrics.jsonl").touch()


DIGESTS = (
  {"step": 2, "loss": ["a", "b"], "grad_norm": ["c", "d"], "ids": ["e", "f"]},
  {"step": 2, "attempt": 0, "state": "s", "leaves": {"a": "b"}},
  {"step": 1, "attempt": 1, "back": True},
)


def rows() -> list[bytes]:
  return ["".join(f"{json.dumps(row)}\n" for row in METRICS).encode()]


def a_row(rng: np.random.Generator, seeds) -> bytes:
  """Damages one row as JSON, or the file as text."""
  if rng.random() < 0.3:
    return mutate.mutate(rng, seeds, "text")
  lines = seeds[0].splitlines(keepends=True)
  at = int(rng.integers(len(lines)))
  lines[at] = mutate.mutate(rng, [lines[at]], "json") + b"\n"
  return b"".join(lines)


def checkpoint(folder: pathlib.Path) -> None:
  (folder / "d").mkdir()
  for name in ("a", "d/b"):
    (folder / name).write_bytes(name.encode())


MANIFEST = {"a": [1, 3904355907], "d/b": [3, 1], "c": [0, 0]}
RECORD = {
  "step": 3,
  "attempt": 0,
  "metrics": {"val/loss": 0.5, "val/accuracy": "nan"},
  "leaves": {"params/a": "float32[2]"},
  "frozen": "",
  "extra": {"offset": 1},
}


def read_record(folder: pathlib.Path, data: bytes) -> None:
  record = Record.from_json(json.loads(data))
  record.repeats(record)
  json.dumps(record.to_json())


def record_json(rng: np.random.Generator, seeds) -> bytes:
  """Sound JSON with unsound values: the caller has parsed it."""
  while True:
    made = mutate.change_json(rng, seeds[0])
    with contextlib.suppress(ValueError, RecursionError):
      json.loads(made)
      return made


@functools.cache
def keys() -> tuple[str, ...]:
  return tuple(configs.flatten(configs.default()))


LITERALS = (
  *("()", "(,)", "((),)", "(1,2)", "('a',)", "('a','a')", "[1]", "{}", "{1}"),
  *("(0.5,)", "(0.5,True)", "{[]: 1}", "{**x}", "-'a'", "1-1j", "1e999-1j"),
  *("(('head/.*','head'),('.*','freeze'))", "(('(',1),)", r"(('\d','x'),)"),
  *("b'x'", "'\\ud800'", "'\\x00'", "...", "lambda: 0", "x if y else z", "f''"),
  *("true", "TRUE", "none", "0x10", "1_000", "1__0", "0.5", ".5", "5."),
  *("(" * 40 + ")" * 40, "(" * 300, "[" * 5000, "-" * 5000 + "1", "~" * 99),
  *("((" * 90 + "1" + ",)" * 180, "1+" * 3000 + "1", "(1,)" * 90, "9" * 5000),
)


def an_override(rng: np.random.Generator, seeds) -> bytes:
  """One to three of "key=value", by the line."""
  made = []
  values = [*LITERALS, *mutate.NUMBERS, *mutate.TEXTS]
  for _ in range(1 + int(rng.integers(3))):
    key = keys()[int(rng.integers(len(keys())))].encode()
    if rng.random() < 0.05:
      key = mutate.mutate(rng, [key], "text")
    value = values[int(rng.integers(len(values)))]
    value = value.encode("utf-8", "surrogatepass")
    if (own := sound_values().get(key)) and rng.random() < 0.4:
      value = own  # so that some of the others are accepted
    if rng.random() < 0.3:
      value = mutate.mutate(rng, [value], "text")
    made.append(key + b"=" + value)
  return b"\n".join(made)


@functools.cache
def sound_values() -> dict[bytes, bytes]:
  return {
    name.encode(): str(value).encode()
    for name, value in configs.flatten(_base()).items()
  }


def take_overrides(folder: pathlib.Path, data: bytes) -> None:
  config = _base().copy_and_resolve_references()
  for text in data.decode("utf-8", "surrogateescape").split("\n"):
    configs.override(config, text)
  check(config)
  writers.write_json(folder / "x.json", config.to_dict())
  again = configs.from_dict(writers.read_json(folder / "x.json"))
  if configs.diff(again, config):
    raise TypeError(f"read back differently: {configs.diff(again, config)}")


@functools.cache
def _base():
  return configs.load("quickstart")


COMMANDS = (
  ["train", "--config=quickstart", "--workdir=x", "--config.optim.lr=1"],
  ["predict", "--workdir=x", "--json", "a.png", "b.png"],
  ["evaluate", "--workdir", "x", "--split=test"],
  ["inspect", "hf:x/y", "--arch=resnet18", "--leaves"],
  ["replay", "x"],
  ["prove-resume", "--config=quickstart", "--workdir=x"],
  ["--version"],
)


def an_argv(rng: np.random.Generator, seeds) -> bytes:
  """A command with one of its words damaged, or one more."""
  words = json.loads(seeds[int(rng.integers(len(seeds)))])
  at = int(rng.integers(len(words)))
  new = mutate.mutate(rng, [words[at].encode()], "text")
  words[at : at + int(rng.integers(2))] = [new.decode("utf-8", "replace")]
  return json.dumps(words).encode()


def parse_argv(folder: pathlib.Path, data: bytes) -> None:
  """As `main` does, up to the point where a command runs."""
  quiet = io.StringIO()
  try:
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
      cli.parse(json.loads(data))
  except SystemExit as error:
    if error.code not in (0, 2):
      raise TypeError(f"exit code {error.code}") from error
    raise cli.UserError(f"exit code {error.code}") from error


READERS = (
  Reader(
    "run.json",
    run_files,
    saving("run.json", read_run),
    "json",
    inputs=3000,
  ),
  Reader(
    "write_json's files",
    run_files,
    saving("summary.json", writers.read_json),
    "json",
    inputs=3000,
  ),
  Reader(
    "metrics.jsonl",
    rows,
    saving("metrics.jsonl", read_rows),
    make=a_row,
    inputs=4000,
  ),
  Reader(
    "digests.jsonl",
    lambda: ["".join(f"{json.dumps(row)}\n" for row in DIGESTS).encode()],
    saving("digests.jsonl", lambda path: trace.read(path.parent)),
    make=a_row,
    inputs=4000,
  ),
  *(
    Reader(
      f"report of {name}",
      lambda made=made: [json.dumps(made).encode()],
      saving(name, lambda path: report.render(path.parent)),
      "json",
      inputs=500,
      prepare=reported,
    )
    for name, made in (("run.json", FACTS), ("summary.json", SUMMARY))
  ),
  Reader(
    "manifest.json",
    lambda: [json.dumps(MANIFEST).encode()],
    saving("manifest.json", lambda path: manifest.problems(path.parent)),
    "json",
    inputs=4000,
    prepare=checkpoint,
  ),
  Reader(
    "marks.json",
    lambda: [
      b'{"good": [1, 5], "attempt": 2,'
      b' "rollback": {"step": 1, "attempt": 2, "extra": {"offset": 3}}}'
    ],
    saving("marks.json", lambda path: marks.Marks(path.parent)),
    "json",
    inputs=3000,
  ),
  Reader(
    "record of a checkpoint",
    lambda: [json.dumps(RECORD).encode()],
    read_record,
    make=record_json,
    inputs=4000,
  ),
  Reader(
    "overrides", lambda: [b""], take_overrides, make=an_override, inputs=6000
  ),
  Reader(
    "command line",
    lambda: [json.dumps(words).encode() for words in COMMANDS],
    parse_argv,
    make=an_argv,
    inputs=2000,
  ),
)
