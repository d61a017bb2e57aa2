import dataclasses

import numpy as np
import pytest

from jft.data import Sentences, load_tokenizer, windows
from jft.data.tokens import TokenExamples
from jft.errors import UserError

VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##b", "c"]


@pytest.fixture
def tokenizer(tmp_path):
  (tmp_path / "vocab.txt").write_text("\n".join(VOCAB))
  return load_tokenizer(tmp_path / "vocab.txt", 6, "words")


def sentences(*words):
  tags = [np.arange(len(row), dtype=np.int32) for row in words]
  names = tuple(f"B-{i}" for i in range(9))
  return Sentences([tuple(w) for w in words], tags, "s", names, "s.conll", [1])


def test_what_fits_is_left_as_it_is(tokenizer):
  source = sentences(["a", "b"], ["abb", "a"])
  assert windows(source, tokenizer) is source


def test_a_long_sentence_is_read_in_parts_of_whole_words(tokenizer):
  # Four tokens have room: a, abb (3) | b, c, a, a | abbbbb (6) | c.
  words = ["a", "abb", "b", "c", "a", "a", "abbbbb", "c"]
  source = windows(sentences(["a"], words), tokenizer)
  assert (len(source), source.cut) == (5, 1)
  assert [source[i]["words"] for i in range(1, 5)] == [
    ("a", "abb"),
    ("b", "c", "a", "a"),
    ("abbbbb",),
    ("c",),
  ]
  assert [source[i]["part"] for i in range(5)] == [0, 0, 1, 2, 3]
  examples = TokenExamples(source, tokenizer)
  assert examples.lengths.tolist() == [3, 6, 6, 6, 3]
  got = examples.take(np.arange(5))
  assert got["part"].tolist() == [0, 0, 1, 2, 3]
  label = got["label"]
  assert label[1].tolist() == [-1, 0, 1, -1, -1, -1]
  # Every word is asked for exactly once.
  assert label[1:][label[1:] >= 0].tolist() == list(range(8))


def test_without_windows_what_is_cut_off_is_an_error(tokenizer):
  with pytest.raises(UserError, match=r"4 of its 5 words are read"):
    TokenExamples(sentences(["a"] * 5), tokenizer)


def test_a_word_without_a_token_is_an_unknown_one(tokenizer):
  source = sentences(["a", "\u200d", "b"])
  (row,) = tokenizer.encode_words([source[0]["words"]])
  assert row["input_ids"].tolist() == [2, 5, 1, 6, 3]
  assert row["first"].tolist() == [-1, 0, 1, 2, -1]
  assert [c.tolist() for c in tokenizer.count_tokens([["\u200d", "abb"]])] == [
    [1, 3]
  ]


def test_a_tag_for_each_word(tokenizer):
  source = sentences(["a", "b"])
  short = dataclasses.replace(source, tags=[np.array([0], np.int32)])
  with pytest.raises(UserError, match="1 tags for 2 or more words"):
    TokenExamples(short, tokenizer)
  beyond = dataclasses.replace(source, tags=[np.array([0, 9], np.int32)])
  with pytest.raises(UserError, match="has label 9, which is none of 9"):
    TokenExamples(beyond, tokenizer)
