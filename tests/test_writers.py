import json
import logging
import math
import os
import pathlib
import struct
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from jft import writers
from jft.errors import UserError


def clock():
  return 1700000000.12345


def logged(workdir, *lines):
  (workdir / "metrics.jsonl").write_bytes(b"".join(lines))


def events(path):
  """Reads TFRecords by hand: length, its CRC, the event, its CRC."""
  from tensorboardX.proto import event_pb2

  data, at = path.read_bytes(), 0
  while at < len(data):
    (size,) = struct.unpack_from("<Q", data, at)
    event = event_pb2.Event()
    event.ParseFromString(data[at + 12 : at + 12 + size])
    yield event
    at += 16 + size


def test_the_lines_of_a_run_are_exactly_these(tmp_path):
  with writers.MetricsWriter(tmp_path, tensorboard=False, clock=clock) as w:
    w.write(
      10, 0, {"train/loss": jnp.float32(0.5), "lr/head": np.float64(1e-3)}
    )
    w.write(20, 1, {"train/loss": math.nan, "train/grad_norm": -math.inf})
    w.event(20, 1, "rollback", step=20, reason="größer", span=(1, 2))
  assert (tmp_path / "metrics.jsonl").read_text() == (
    '{"step": 10, "attempt": 0, "time": 1700000000.123,'
    ' "train/loss": 0.5, "lr/head": 0.001}\n'
    '{"step": 20, "attempt": 1, "time": 1700000000.123,'
    ' "train/loss": "NaN", "train/grad_norm": "-Infinity"}\n'
    '{"step": 20, "attempt": 1, "time": 1700000000.123,'
    ' "event": "rollback", "reason": "größer", "span": [1, 2]}\n'
  )
  row = writers.read_metrics(tmp_path)[1]
  assert math.isnan(row["train/loss"])
  assert row["train/grad_norm"] == -math.inf


def test_a_line_is_readable_at_once(tmp_path):
  with writers.MetricsWriter(tmp_path, tensorboard=False) as w:
    w.write(1, 0, {"train/loss": 2.0})
    assert writers.read_metrics(tmp_path)[0]["train/loss"] == 2.0


@pytest.mark.parametrize("torn", [b'{"step": 2, "tra', b"\0\0\0", b"\xc3"])
def test_a_torn_last_line_is_left_out_and_then_cut_off(tmp_path, torn):
  logged(tmp_path, b'{"step": 1, "train/loss": 3.0}\n', torn)
  assert writers.read_metrics(tmp_path) == [{"step": 1, "train/loss": 3.0}]
  with writers.MetricsWriter(tmp_path, tensorboard=False) as w:
    w.write(2, 0, {"train/loss": 2.0})
  rows = writers.read_metrics(tmp_path)
  assert writers.series(rows, "train/loss") == ([1, 2], [3.0, 2.0])


def test_damage_before_the_last_line_names_the_line(tmp_path):
  logged(tmp_path, b'{"step": 1}\n', b"{]\n", b'{"step": 3}\n')
  with pytest.raises(UserError, match=r"line 2 of .*metrics.jsonl is damaged"):
    writers.read_metrics(tmp_path)
  with pytest.raises(UserError, match="Is this the workdir of a run"):
    writers.read_metrics(tmp_path / "elsewhere")


def test_the_last_line_of_a_step_wins():
  rows = [
    {"step": 10, "train/loss": 3.0},
    {"step": 10, "val/loss": 9.0},
    {"step": 20, "train/loss": 2.0},
    {"step": 20, "event": "phase", "train/loss": 77.0},
    {"step": 20, "train/loss": 1.0},
  ]
  assert writers.series(rows, "train/loss") == ([10, 20], [3.0, 1.0])
  assert writers.series(rows, "lr/head") == ([], [])


@pytest.mark.parametrize(
  "back",
  [
    {"step": 20, "event": "resumed"},
    {"step": 47, "event": "rollback", "rolled_back_to": 20},
  ],
)
def test_what_the_run_took_back_does_not_count(back):
  # The second try was cut off at 30: 40 belongs to a run that never was.
  rows = [{"step": step, "val/loss": 1.0} for step in (10, 20, 30, 40)]
  rows += [back, {"step": 30, "val/loss": 0.5}]
  assert writers.series(rows, "val/loss") == ([10, 20, 30], [1.0, 1.0, 0.5])


def test_a_test_metric_of_the_best_step_takes_nothing_back():
  rows = [{"step": step, "train/loss": 1.0} for step in (10, 20)]
  rows.append({"step": 10, "test/accuracy": 0.9})
  assert writers.series(rows, "train/loss")[0] == [10, 20]


def test_tensorboard_gets_the_numbers_and_forgets_the_rolled_back(
  tmp_path, caplog
):
  with (
    caplog.at_level(logging.WARNING),
    writers.MetricsWriter(tmp_path, clock=clock) as w,
  ):
    w.write(10, 0, {"train/loss": 0.5})
    w.write(20, 0, {"train/loss": math.nan})
    w.event(20, 0, "rollback", rolled_back_to=10)
    w.write(15, 1, {"train/loss": 0.25})
  assert caplog.records == []
  files = sorted((tmp_path / "tensorboard").iterdir(), key=lambda f: f.suffixes)
  assert len(files) == 2
  found = {
    (event.step, value.tag, value.simple_value, event.wall_time)
    for path in files
    for event in events(path)
    for value in event.summary.value
  }
  assert found == {
    (10, "train/loss", 0.5, 1700000000.123),
    (15, "train/loss", 0.25, 1700000000.123),
  }
  starts = {
    event.step
    for path in files
    for event in events(path)
    if event.session_log.status == event.session_log.START
  }
  assert starts == {10, 15}


def test_tensorboardx_is_not_imported_without_need(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "tensorboardX", None)
  with writers.MetricsWriter(tmp_path, tensorboard=False) as w:
    w.write(1, 0, {"train/loss": 1})
    w.close()
  with writers.MetricsWriter(tmp_path) as w:
    w.event(1, 0, "resumed")
  assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_only_the_primary_process_writes(tmp_path, monkeypatch):
  monkeypatch.setattr("jft.hosts.is_primary", lambda: False)
  with writers.MetricsWriter(tmp_path / "run") as w:
    w.write(1, 0, {"train/loss": 1.0})
    w.event(1, 0, "phase", label="head")
  assert list(tmp_path.iterdir()) == []


def test_json_of_numpy_jax_tuples_and_paths(tmp_path):
  path = tmp_path / "run.json"
  writers.write_json(
    path,
    {
      "shape": (np.int64(2), jnp.int32(3)),
      "norm": np.float32(0.5),
      "dirty": np.bool_(True),
      "counts": np.array([[1, 2]]),
      "at": pathlib.Path("a/b"),
      "loss": np.float64("inf"),
      "git": None,
      "name": "größer",
    },
  )
  assert path.read_text().startswith('{\n  "shape": [\n    2,\n    3\n  ],')
  assert "größer" in path.read_text(encoding="utf-8")
  assert writers.read_json(path) == {
    "shape": [2, 3],
    "norm": 0.5,
    "dirty": True,
    "counts": [[1, 2]],
    "at": "a/b",
    "loss": "Infinity",
    "git": None,
    "name": "größer",
  }
  assert json.loads(path.read_text(), parse_constant=pytest.fail)


def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
  path = tmp_path / "summary.json"
  writers.write_json(path, {"step": 1})
  with pytest.raises(UserError, match="JSON cannot hold <object"):
    writers.write_json(path, {"step": object()})

  def full(_):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr("os.fsync", full)
  with pytest.raises(OSError, match="No space"):
    writers.write_json(path, {"step": 2})
  assert [p.name for p in tmp_path.iterdir()] == ["summary.json"]
  assert writers.read_json(path) == {"step": 1}


def test_half_a_surrogate_pair_is_written_and_read_back(tmp_path):
  name = os.fsdecode(b"caf\xff.png")
  writers.write_json(tmp_path / "x.json", {"file": name})
  assert writers.read_json(tmp_path / "x.json") == {"file": name}
  with writers.MetricsWriter(tmp_path, tensorboard=False) as writer:
    writer.event(1, 0, "phase", file=name)
  assert writers.read_metrics(tmp_path)[0]["file"] == name


@pytest.mark.parametrize(
  "line",
  [
    '{"step": 1, "train/loss": "."}',
    '{"step": 1, "train/loss": {}}',
    '{"step": 1, "train/loss": null}',
    '{"step": 1, "train/loss": true}',
    '{"step": 1, "train/loss": 1' + "0" * 400 + "}",
    '{"step": 1' + "0" * 30 + "}",
    '{"step": 1, "event": "rollback", "rolled_back_to": "0"}',
    '{"step": 1, "a": ' + "[" * 100_000,
  ],
)
def test_a_line_of_metrics_that_nobody_wrote_is_named(tmp_path, line):
  (tmp_path / "metrics.jsonl").write_text(f'{{"step": 0}}\n{line}\n')
  with pytest.raises(UserError, match=r"line 2 of .*metrics\.jsonl is damaged"):
    writers.read_metrics(tmp_path)


def test_reading_json_says_what_is_wrong(tmp_path):
  with pytest.raises(UserError, match=r"cannot read .*run\.json: No such file"):
    writers.read_json(tmp_path / "run.json")
  (tmp_path / "run.json").write_text("{")
  with pytest.raises(UserError, match=r"run\.json is not JSON"):
    writers.read_json(tmp_path / "run.json")
  for text in ("[" * 100_000, "9" * 5000):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=r"run\.json is not JSON"):
      writers.read_json(tmp_path / "run.json")
