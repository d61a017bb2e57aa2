"""What a run computed, to the bit, and where two runs part."""

import numpy as np
import pytest

from jft import trace
from jft.errors import UserError
from jft.trace import Trace, TraceWriter, Update


def write(folder, rows, states=(), back=()):
  with TraceWriter(folder) as writer:
    writer.updates(0, rows)
    for step, leaves in states:
      writer.state(step, 0, leaves)
    for step in back:
      writer.back_to(step, 1)
    writer.sync()


def row(step, loss=1.0, norm=2.0, ids=(1, 2)):
  return step, np.float32(loss), np.float32(norm), np.int32(ids)


def test_what_is_written_is_read(tmp_path):
  write(tmp_path, [row(1), row(2, loss=0.5)], [(2, {"w": "ab"})])
  read = trace.read(tmp_path)
  assert read.updates == {
    1: Update("3f800000", "40000000", "0381177c"),
    2: Update("3f000000", "40000000", "0381177c"),
  }
  assert read.states == {2: {"w": "ab"}}


def test_what_the_run_went_back_on_does_not_count(tmp_path):
  write(tmp_path, [row(1), row(2), row(3)], [(2, {}), (3, {})], back=[2])
  with TraceWriter(tmp_path) as writer:
    writer.updates(1, [row(3, loss=9.0)])
  read = trace.read(tmp_path)
  assert list(read.updates) == [1, 2, 3]
  assert read.updates[3].loss == trace.bits(9.0)
  assert list(read.states) == [2]


@pytest.mark.parametrize(
  "line",
  [
    '{"step": 1, "attempt": 0}',
    '{"step": 1, "loss": ["a"], "ids": ["b"]}',
    '{"step": 1, "loss": ["a"], "grad_norm": [], "ids": ["b"]}',
    '{"step": 1, "loss": 1, "grad_norm": 1, "ids": 1}',
    '{"step": 1, "leaves": ["a"]}',
  ],
)
def test_a_line_that_nobody_wrote_is_named(tmp_path, line):
  (tmp_path / trace.FILE).write_text(f'{{"step": 0, "back": true}}\n{line}\n')
  with pytest.raises(UserError, match=r"line 2 of .*digests\.jsonl is damaged"):
    trace.read(tmp_path)


def updates(losses, ids="i"):
  return {step: Update(loss, "n", ids) for step, loss in enumerate(losses, 1)}


@pytest.mark.parametrize(
  ("other", "found"),
  [
    (Trace(updates("abc"), {2: {"w": "1", "b": "2"}}), None),
    (Trace(updates("abx"), {2: {"w": "1", "b": "2"}}), (3, "loss", (), None)),
    (
      Trace(updates("abx"), {2: {"w": "0", "b": "2"}}),
      (2, "state", ("w",), 2),
    ),
    (
      Trace(updates("axx"), {2: {"w": "0", "b": "9"}}),
      (2, "loss", ("b", "w"), 2),
    ),
    (
      Trace(updates("abc", ids="j"), {2: {"w": "1", "b": "2"}}),
      (1, "sample ids", (), None),
    ),
    (Trace(updates("ab"), {2: {"w": "1", "b": "2"}}), (3, "length", (), None)),
  ],
)
def test_the_first_difference(other, found):
  one = Trace(updates("abc"), {2: {"w": "1", "b": "2"}})
  difference = trace.first_difference(one, other)
  if found is None:
    assert difference is None
  else:
    assert difference == trace.Difference(*found)


def test_a_part_of_a_trace():
  whole = Trace(updates("abc"), {2: {}, 3: {}})
  assert whole.upto(2) == Trace(updates("ab"), {2: {}})


def test_the_bits_tell_what_a_decimal_does_not():
  assert trace.bits(np.float32(0.1)) != trace.bits(
    np.nextafter(np.float32(0.1), 1)
  )
  assert trace.bits(np.float32(0.0)) != trace.bits(np.float32(-0.0))
