"""The record of a checkpoint, there and back, and from hostile JSON."""

import functools
import json
import math

import pytest

from jft.disk.record import Record, json_copy
from jft.errors import UserError

SAVED = {
  "step": 3,
  "attempt": 1,
  "metrics": {"val/loss": "nan", "val/accuracy": 0.5},
  "leaves": {"params/a": "float32[2]"},
  "frozen": "ab",
  "extra": {"offset": 1},
}
DEEP = functools.reduce(lambda inside, _: [inside], range(700), 0)


def test_a_record_comes_back():
  record = Record.from_json(SAVED)
  assert (record.step, record.attempt, record.frozen) == (3, 1, "ab")
  assert math.isnan(record.metrics["val/loss"])
  assert record.to_json() == SAVED
  assert record.repeats(Record.from_json(json.loads(json.dumps(SAVED))))


@pytest.mark.parametrize(
  ("saved", "message"),
  [
    ("text", "malformed"),
    ([], "malformed"),
    ({}, "malformed"),
    ({**SAVED, "more": 1}, "malformed: .*'more'"),
    ({**SAVED, "metrics": [1]}, "malformed"),
    ({**SAVED, "metrics": {"a": {}}}, "malformed"),
    ({**SAVED, "metrics": {"a": "high"}}, "malformed"),
    ({**SAVED, "metrics": {"a": 10**400}}, "too large"),
    ({**SAVED, "step": "3"}, "step of the record must be int, got str"),
    ({**SAVED, "step": True}, "step of the record must be int, got bool"),
    ({**SAVED, "leaves": []}, "leaves of the record must be dict, got list"),
    ({**SAVED, "frozen": None}, "frozen of the record must be str"),
    ({**SAVED, "extra": 1}, "extra of the record must be dict"),
  ],
)
def test_what_nobody_wrote_is_refused(saved, message):
  with pytest.raises(UserError, match=message):
    Record.from_json(saved)


def test_what_is_nested_deeply_is_kept_or_refused():
  assert Record.from_json({**SAVED, "extra": {"a": DEEP}}).to_json()
  deeper = functools.reduce(lambda inside, _: [inside], range(100_000), 0)
  with pytest.raises(UserError, match="extra must hold what JSON can"):
    json_copy({"a": deeper})
  while deeper:  # one by one: freeing them at once would go as deep
    (deeper,) = deeper
