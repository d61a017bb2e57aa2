import dataclasses

import numpy as np
import pytest

from jft.data import arrays, load_tokenizer
from jft.data.tokens import TokenExamples
from jft.errors import UserError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "d"]


@pytest.fixture
def tokenizer(tmp_path):
  (tmp_path / "vocab.txt").write_text("\n".join(["<pad>", *WORDS[1:]]))
  return load_tokenizer(tmp_path / "vocab.txt", 6)


def test_tokens_are_padded_with_mask_and_types(tokenizer):
  source = arrays({"text": ["a b", "c", "a b c d a"], "label": [1, 0, 1]})
  examples = TokenExamples(source, tokenizer)
  assert examples.lengths.tolist() == [4, 3, 6]
  got = examples.take(np.array([1, 0]), length=5)
  assert got["input_ids"].tolist() == [[2, 7, 3, 0, 0], [2, 5, 6, 3, 0]]
  assert got["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]
  assert got["token_type_ids"].tolist() == [[0] * 5] * 2
  assert got["label"].tolist() == [0, 1]
  assert {value.dtype for value in got.values()} == {np.dtype(np.int32)}


def test_pairs_keep_their_types_until_the_padding(tokenizer):
  source = arrays({"text": ["a"], "text_pair": ["b"]})
  got = TokenExamples(source, tokenizer).take(np.array([0]), length=7)
  assert got["input_ids"].tolist() == [[2, 5, 3, 6, 3, 0, 0]]
  assert got["token_type_ids"].tolist() == [[0, 0, 0, 1, 1, 0, 0]]
  assert "label" not in got


def test_a_source_without_text_is_an_error(tokenizer):
  with pytest.raises(UserError, match=r'example 0 of s.*"text".*\'x\''):
    TokenExamples(arrays({"x": np.arange(3)}, name="s"), tokenizer)


def test_equal_texts_are_known_whatever_the_tokenizer_makes_of_them(tokenizer):
  apart = dataclasses.replace(tokenizer, reads="apart")
  source = arrays(
    {
      "text": ["ämne", "övning", "good"],
      "text_pair": ["good", "good film", "ämne"],
      "negative": ["bad", "good", "bad"],
    }
  )
  texts = TokenExamples(source, apart).take(np.array([2, 0, 1]))["texts"]
  assert (texts.shape, texts.dtype) == ((3, 3, 2), np.uint32)
  said = [["good", "ämne", "bad"], ["ämne", "good", "bad"]]
  said += [["övning", "good film", "good"]]
  same = np.all(texts.reshape(-1, 1, 2) == texts.reshape(1, -1, 2), -1)
  names = np.array(said).ravel()
  np.testing.assert_array_equal(same, names[:, None] == names[None])


def test_texts_that_are_read_apart(tokenizer):
  columns = {"text": ["a b", "c"], "text_pair": ["d", "a b c"]}
  source = arrays(
    {**columns, "label": [0.5, 2.0]}, name="s", label_kind="number"
  )
  apart = dataclasses.replace(tokenizer, reads="apart")
  examples = TokenExamples(source, apart)
  assert examples.lengths.tolist() == [4, 5]  # Of the longer text.
  got = examples.take(np.array([1, 0]), length=5)
  assert got["input_ids"].tolist() == [
    [[2, 7, 3, 0, 0], [2, 5, 6, 7, 3]],
    [[2, 5, 6, 3, 0], [2, 8, 3, 0, 0]],
  ]
  assert not got["token_type_ids"].any()
  assert got["label"].tolist() == [2.0, 0.5]
  assert got["label"].dtype == np.float32
  with pytest.raises(UserError, match=r'a string "text_pair", got None'):
    TokenExamples(arrays({"text": ["a"]}), apart)
