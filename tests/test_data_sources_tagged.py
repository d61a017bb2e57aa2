import json
import os
import pathlib

import pytest

from jft.data import conll, split, tagged_jsonl
from jft.data.hashing import digests, fingerprint
from jft.errors import UserError

TEXT = (
  "\ufeff-DOCSTART- -X- O\n\nEU NNP B-org\nrejects VBZ O\n\n\n"
  "New\tNNP\tB-loc\r\nYork\tNNP\tI-loc\r\n\t\n\ufeff"
)


def write(folder, text, name="a.conll"):
  path = folder / name
  path.write_bytes(text.encode())
  return path


def lines(*rows):
  return "".join(json.dumps(row) + "\n" for row in rows)


def test_columns(tmp_path):
  source = conll(write(tmp_path, TEXT))
  assert (len(source), source.name, source.label_kind) == (2, "a", "tags")
  assert source.label_names == ("B-loc", "B-org", "I-loc", "O")
  assert source[0]["words"] == ("EU", "rejects")
  assert source[0]["label"].tolist() == [1, 3]
  assert source[1]["words"] == ("New", "York")
  assert list(source.lines) == [3, 7]
  other = conll(write(tmp_path, TEXT), word=1, tag=2)
  assert other[0]["words"] == ("NNP", "VBZ")


def test_words_without_tags(tmp_path):
  source = conll(write(tmp_path, "a\nb\n\nc"), tag=None)
  assert [row["words"] for row in source] == [("a", "b"), ("c",)]
  assert source.label_names == ("O",)


@pytest.mark.parametrize(
  ("text", "options", "message"),
  [
    ("a O\nb\n", {}, r"a.conll:2: 'b' has no tag beside the word"),
    ("a\tO\n\tO\n", {}, r"a.conll:2: the word in column 0 is empty"),
    ("a\tO\nb\t\n", {}, r"a.conll:2: the tag in column -1 is empty"),
    ("a O\nb NN\n", {}, r"a.conll:2: the tag 'NN' is neither O, B-TYPE nor"),
    ("a O\nb B-\n", {}, r"a.conll:2: the tag 'B-' is neither"),
    (
      "a O\n\nb B-lok\n",
      {"label_names": ("O", "B-loc")},
      r"a.conll:3: the tag 'B-lok' is none of the 2 of training.*B-loc",
    ),
    (
      "a O\n",
      {"tag": 5},
      r"a.conll:1: no column 5 for the tag, the line has 2",
    ),
    ("\n\n", {}, r"a.conll holds no sentence"),
  ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, options, message):
  with pytest.raises(UserError, match=message):
    conll(write(tmp_path, text), **options)


def test_json_lines(tmp_path):
  rows = [
    {"words": ["New", "York"], "tags": ["B-loc", "I-loc"]},
    {"words": ["so"], "tags": ["O"]},
  ]
  source = tagged_jsonl(write(tmp_path, lines(*rows), "a.jsonl"))
  assert source.label_names == ("B-loc", "I-loc", "O")
  assert source[0]["label"].tolist() == [0, 1]
  ids = [{"w": ["New", "York"], "t": [1, 2]}]
  source = tagged_jsonl(
    write(tmp_path, lines(*ids), "b.jsonl"),
    words="w",
    tags="t",
    label_names=("O", "B-loc", "I-loc"),
  )
  assert source[0]["label"].tolist() == [1, 2]


@pytest.mark.parametrize(
  ("row", "message"),
  [
    ({"words": ["a"], "tags": ["O", "O"]}, r":2: 2 tags for 1 words"),
    ({"words": [], "tags": []}, r":2: 'words' holds no word"),
    ({"words": [" "], "tags": ["O"]}, r":2: 'words' holds no word, or an empt"),
    ({"words": "a b", "tags": ["O"]}, r":2: 'words' must be a list of str"),
    ({"words": ["a"], "tags": [True]}, r":2: 'tags' must be a list of str or"),
    ({"words": ["a"], "tags": [3]}, r":2: the tag 3 is a number; give data"),
    ({"words": ["a"]}, r":2: no 'tags'"),
    ({"words": ["\ud800"], "tags": ["O"]}, r":2: 'words' holds half of a surr"),
  ],
)
def test_bad_rows_are_named_with_their_line(tmp_path, row, message):
  good = {"words": ["a"], "tags": ["O"]}
  path = write(tmp_path, lines(good, row), "a.jsonl")
  with pytest.raises(UserError, match=message):
    tagged_jsonl(path)


def test_hashes_tell_the_tags_and_a_split_keeps_equal_sentences(tmp_path):
  rows = "a O\nb O\n\n" * 3 + "a O\nb B-x\n\nc O\nd O\n"
  source = conll(write(tmp_path, rows))
  found = digests(source)
  assert found.labels[0] == found.labels[1] != found.labels[3]
  assert found.rows[0].tobytes() == found.rows[3].tobytes()
  other = conll(write(tmp_path, rows.replace("B-x", "O"), "b.conll"))
  assert fingerprint(source) != fingerprint(other)
  parts = split(source, {"a": 0.5, "b": 0.5}, seed=1)
  assert sorted(map(len, parts.values())) == [1, 4]
  assert {part.label_kind for part in parts.values()} == {"tags"}


@pytest.mark.skipif("JFT_DATA" not in os.environ, reason="JFT_DATA is not set")
def test_wnut_2017_has_the_published_sizes():
  folder = pathlib.Path(os.environ["JFT_DATA"]) / "wnut17"
  train = conll(folder / "wnut17train.conll")
  rest = [
    conll(folder / name, label_names=train.label_names)
    for name in ("emerging.dev.conll", "emerging.test.annotated")
  ]
  assert [len(source) for source in (train, *rest)] == [3394, 1009, 1287]
  words = [sum(map(len, source.words)) for source in (train, *rest)]
  assert words == [62730, 15733, 23394]
