import json

import pytest

from jft.data import csv, jsonl
from jft.errors import UserError


def _write(tmp_path, content, name="a.csv"):
  path = tmp_path / name
  path.write_bytes(content if isinstance(content, bytes) else content.encode())
  return path


def _rows(source):
  return [tuple(map(str, source[i].values())) for i in range(len(source))]


def test_a_csv_with_a_header_quotes_and_a_line_break(tmp_path):
  path = _write(
    tmp_path, 'label,id,text\r\nham,1,"hi, ""you"""\r\n\r\nspam,2,"a\nb"\r\n'
  )
  source = csv(path, text="text", label="label")
  assert source.label_names == ("ham", "spam")
  assert _rows(source) == [('hi, "you"', "0"), ("a\nb", "1")]
  assert source.name == "a"


def test_a_tsv_without_a_header_keeps_its_quotes(tmp_path):
  path = _write(tmp_path, 'say "x" twice\t1\r\n"half\t0\n\u2028odd\x0b\t1\n')
  source = csv(path, text=0, label=1, header=False)
  assert _rows(source) == [
    ('say "x" twice', "1"),
    ('"half', "0"),
    ("\u2028odd\x0b", "1"),
  ]


def test_pairs_and_texts_without_labels(tmp_path):
  path = _write(tmp_path, "\ufeffa,b\nx,y\n")
  source = csv(path, text="a", text_pair="b", label=None)
  assert source[0] == {"text": "x", "text_pair": "y"}
  assert source.label_names is None


@pytest.mark.parametrize(
  ("content", "options", "message"),
  [
    ("a,b\nx,1\ny\n", {}, r"a.csv:3: expected at least 2 columns, got 1"),
    ("a,b\nx,1\ny,2\n", {"label_names": ["1", "3"]}, r"a.csv:3: label '2'"),
    ("aa,b\nx,1\n", {}, "no column 'a' among .*Did you mean 'aa'"),
    ("x,1\n", {"header": False}, "count from 0"),
    ("", {}, "no column"),
    ("a,b\n", {}, "holds no examples"),
    ('a,b\nx,1\n"y,2\n', {}, r"a.csv:3: unexpected end"),
    (b"a,b\nx,1\n\xff,2\n", {}, r"a.csv:3: not UTF-8"),
    ("a,b\nx,0.5\ny,1.5\n", {}, "real numbers"),
  ],
)
def test_what_cannot_be_read_is_named(tmp_path, content, options, message):
  path = _write(tmp_path, content)
  with pytest.raises(UserError, match=message):
    csv(path, text="a", label="b", **options)


@pytest.mark.parametrize("char", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_a_line_ends_at_a_line_feed_alone(tmp_path, char):
  path = _write(tmp_path, f"a,b\nx{char}y,1\nz,0\n".encode())
  assert _rows(csv(path, text="a", label="b")) == [
    (f"x{char}y", "1"),
    ("z", "0"),
  ]


def test_labels_of_thousands_of_digits_are_names(tmp_path):
  path = _write(tmp_path, f"a,b\nx,{'9' * 5000}\ny,a\n")
  assert csv(path, text="a", label="b").label_names == ("9" * 5000, "a")
  path = _write(tmp_path, f"a,b\nx,{'9' * 5000}\n")
  with pytest.raises(UserError, match="real numbers"):
    csv(path, text="a", label="b")


def test_what_no_path_can_be():
  with pytest.raises(UserError, match="is no path: embedded null"):
    csv("a\0b", text="a", label="b")


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(UserError, match=r"gone\.csv: No such file"):
    csv(tmp_path / "gone.csv", text="a", label="b")


def test_jsonl_labels_may_be_integers_or_strings(tmp_path):
  rows = [{"text": "x", "label": 1}, {"text": "y\u2028", "label": 0}]
  content = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
  source = jsonl(_write(tmp_path, content + "\n\n", "a.jsonl"))
  assert _rows(source) == [("x", "1"), ("y\u2028", "0")]
  named = content.replace("1}", '"yes"}').replace("0}", '"no"}')
  source = jsonl(_write(tmp_path, named, "b.jsonl"))
  assert source.label_names == ("no", "yes")


@pytest.mark.parametrize(
  ("row", "message"),
  [
    ("{", "a.jsonl:2: not JSON"),
    ("[" * 100_000, "a.jsonl:2: not JSON"),
    ('{"text": ' + "9" * 5000 + "}", "a.jsonl:2: not JSON"),
    ('{"text": "\\ud800", "label": 1}', "half of a surrogate pair"),
    ('{"text": "a", "label": "\\udcff"}', "half of a surrogate pair"),
    ('{"text": "a", "label": ' + "[" * 500 + "]" * 500 + "}", "a string, got"),
    ("[1]", "a.jsonl:2: expected an object"),
    ('{"txt": "a", "label": 1}', "a.jsonl:2: no 'text'.*'txt'"),
    ('{"text": 1, "label": 1}', "'text' must be a string, got 1"),
    ('{"text": "a", "label": 1.5}', "integer or a string, got 1.5"),
    ('{"text": "a", "label": true}', "integer or a string, got True"),
  ],
)
def test_a_bad_line_of_jsonl_is_named(tmp_path, row, message):
  good = '{"text": "a", "label": 0}\n'
  with pytest.raises(UserError, match=message):
    jsonl(_write(tmp_path, good + row, "a.jsonl"))


def test_a_number_is_no_key_of_jsonl(tmp_path):
  path = _write(tmp_path, '{"text": "a", "label": 0}\n', "a.jsonl")
  with pytest.raises(UserError, match=r"a\.jsonl:1: no 0"):
    jsonl(path, text=0)


def test_sst2(jft_data):
  folder = jft_data / "sst2"
  train = csv(folder / "train.tsv", text=0, label=1, header=False)
  dev = csv(
    folder / "dev.tsv",
    text=0,
    label=1,
    header=False,
    label_names=["negative", "positive"],
  )
  assert (len(train), len(dev)) == (6920, 872)
  assert (int(train.labels.sum()), int(dev.labels.sum())) == (3610, 444)
  assert dev[0]["text"] == "one long string of cliches"


def test_sms_spam(jft_data):
  path = jft_data / "sms-spam" / "SMSSpamCollection"
  source = csv(path, text=1, label=0, header=False)
  assert source.label_names == ("ham", "spam")
  assert (len(source), int(source.labels.sum())) == (5574, 747)


def test_numbers_are_the_targets_of_a_regression(tmp_path):
  path = _write(tmp_path, "a,b,c\nx,y,0.5\nz,w,-3\n")
  options = {"text": "a", "text_pair": "b", "label": "c"}
  source = csv(path, **options, label_kind="number")
  assert (source.label_names, source.label_kind) == (None, "number")
  assert source[1] == {"text": "z", "text_pair": "w", "label": -3.0}
  path = _write(
    tmp_path, '{"text": "x", "label": 1}\n{"text": "y", "label": 2.5}'
  )
  assert jsonl(path, label_kind="number").labels.tolist() == [1.0, 2.5]


@pytest.mark.parametrize(
  ("value", "message"),
  [
    ("good", r"a.csv:3: the target 'good' is no number"),
    ("", r"a.csv:3: the target '' is no number"),
    ("nan", r"a.csv:3: the target 'nan' is not finite"),
    ("1e999", r"a.csv:3: the target '1e999' is not finite"),
  ],
)
def test_what_is_no_number_is_named_with_its_line(tmp_path, value, message):
  path = _write(tmp_path, f"a,b\nx,1\ny,{value}\n")
  with pytest.raises(UserError, match=message):
    csv(path, text="a", label="b", label_kind="number")


def test_a_text_is_no_number_in_json(tmp_path):
  path = _write(tmp_path, '{"text": "x", "label": "2"}')
  with pytest.raises(UserError, match=r":1: 'label' must be a number, got '2'"):
    jsonl(path, label_kind="number")
