import json
import pathlib

import pytest

from jft.spans import span_report, spans

GOLDEN = json.loads(
  (pathlib.Path(__file__).parent / "golden" / "spans.json").read_text()
)


def test_spans_are_those_of_seqeval():
  got = [[list(span) for span in spans(row)] for row in GOLDEN["true"]]
  assert got == GOLDEN["spans"]
  assert sum(map(len, got)) > 100


def test_the_scores_are_those_of_seqeval():
  found = span_report(GOLDEN["true"], GOLDEN["predicted"])
  rows = {row["name"]: row for row in found["classes"]}
  want = dict(GOLDEN["report"])
  micro = want.pop("micro avg")
  assert rows.keys() == want.keys()
  for name, row in {**rows, "all": {**found, "support": None}}.items():
    theirs = want.get(name, micro)
    assert row["f1"] == pytest.approx(theirs["f1-score"], abs=1e-12)
    assert row["precision"] == pytest.approx(theirs["precision"], abs=1e-12)
    assert row["recall"] == pytest.approx(theirs["recall"], abs=1e-12)
    assert row["support"] in (theirs["support"], None)


# The rules of conlleval: a type or a B- begins another span.
@pytest.mark.parametrize(
  ("tags", "found"),
  [
    ([], []),
    (["O", "O"], []),
    (["B-a"], [("a", 0, 1)]),
    (["I-a", "I-a"], [("a", 0, 2)]),
    (["B-a", "B-a"], [("a", 0, 1), ("a", 1, 2)]),
    (["B-a", "I-b", "I-b"], [("a", 0, 1), ("b", 1, 3)]),
    (["I-a", "O", "I-a"], [("a", 0, 1), ("a", 2, 3)]),
    (["B-a-b", "I-a-b"], [("a-b", 0, 2)]),
  ],
)
def test_where_a_span_begins_and_ends(tags, found):
  assert spans(tags) == found


def test_a_span_is_right_only_as_a_whole():
  true = [["B-a", "I-a", "O", "B-b"]]
  found = span_report(true, [["B-a", "O", "O", "B-b"]])
  assert (found["precision"], found["recall"], found["f1"]) == (0.5, 0.5, 0.5)
  nothing = span_report(true, [["O"] * 4])
  assert (nothing["precision"], nothing["recall"], nothing["f1"]) == (0, 0, 0)


def test_lengths_must_agree():
  with pytest.raises(ValueError, match="longer"):
    span_report([["O"]], [["O"], ["O"]])
