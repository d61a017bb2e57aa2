"""Two runs compared by their files."""

import json
import shutil

import numpy as np
import pytest

from jft import writers
from jft.errors import UserError
from jft.proof import compare
from jft.trace import TraceWriter


def make(folder, *, losses=(3.0, 2.0, 1.0), weight="aa", score=0.5, seed=0):
  folder.mkdir()
  writers.write_json(
    folder / "run.json",
    {"config": {"seed": seed}, "cores": 2, "data": {"train": {"sha256": "0"}}},
  )
  with TraceWriter(folder) as trace:
    rows = [(i, np.float32(x), 1.0, [i]) for i, x in enumerate(losses, 1)]
    trace.updates(0, rows)
    trace.state(2, 0, {"w": weight, "b": "bb"})
  with writers.MetricsWriter(folder, tensorboard=False) as metrics:
    metrics.write(2, 0, {"val/accuracy": score})
  return folder


def said(a, b, **options):
  return compare.render(compare.compare(a, b, **options)).splitlines()


def test_identical(tmp_path):
  a, b = make(tmp_path / "a"), make(tmp_path / "b", seed=1)
  found = compare.compare(a, b)
  assert found.identical
  assert said(a, b) == [
    "identical: 3 updates (loss, gradient norm, sample ids), 1 states of 2"
    " leaves, 1 evaluations",
    "different config:",
    "  seed: 0 -> 1",
  ]


def test_a_state_that_differs_before_any_loss(tmp_path):
  a, b = make(tmp_path / "a"), make(tmp_path / "b", weight="xx")
  assert said(a, b) == [
    "different, first after update 2: state",
    "  A  w aa",
    "  B  w xx",
    "  first differing state, after update 2: w",
  ]


def test_a_loss_that_differs_in_one_bit(tmp_path):
  low = np.nextafter(np.float32(1.0), np.float32(0))
  a, b = make(tmp_path / "a"), make(tmp_path / "b", losses=(3.0, 2.0, low))
  assert said(a, b, names=("run", "replay")) == [
    "different, first at update 3: loss",
    "  run     1.0 (bits 3f800000)",
    "  replay  0.9999999403953552 (bits 3f7fffff)",
  ]
  assert compare.compare(a, b, upto=2).identical


def test_an_evaluation_that_differs(tmp_path):
  a, b = make(tmp_path / "a"), make(tmp_path / "b", score=0.25)
  assert said(a, b)[0] == "different, first after update 2: evaluation"
  assert json.dumps(writers.to_json(compare.as_json(compare.compare(a, b))))


def test_a_run_that_ends_before(tmp_path):
  a, b = make(tmp_path / "a"), make(tmp_path / "b", losses=(3.0, 2.0))
  assert said(a, b) == [
    "different, first at update 3: length",
    "  A  1.0 (bits 3f800000)",
    "  B  ends before",
  ]


def test_nothing_to_compare(tmp_path):
  a, b = make(tmp_path / "a"), make(tmp_path / "b", losses=())
  with pytest.raises(UserError, match="b has made no update yet"):
    compare.compare(a, b)
  shutil.rmtree(b)
  with pytest.raises(UserError, match="b is no run of jft"):
    compare.compare(a, b)
