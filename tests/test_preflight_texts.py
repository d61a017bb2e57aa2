import numpy as np
import tiny

from jft.data import arrays, load_tokenizer
from jft.preflight import near, texts


def tokenizer(folder, max_length=8):
  (folder / "vocab.txt").write_text("".join(f"{w}\n" for w in tiny.WORDS))
  return load_tokenizer(folder, max_length=max_length)


def seen_of(folder, **splits):
  """Sources and their surveys; `[CLS]` and `[SEP]` are two tokens of each."""
  made = tokenizer(folder)
  sources = {s: arrays({"text": rows}, name=s) for s, rows in splits.items()}
  seen = {
    s: texts.survey(source, np.arange(len(source)), made)
    for s, source in sources.items()
  }
  return sources, seen


def test_sound_texts(tmp_path):
  sources, seen = seen_of(tmp_path, train=["good film", "bad"], val=["bad"])
  (found,) = texts.check(sources, seen, 8)
  assert found.level == "ok"
  assert found.message == "3 texts of 3 to 4 tokens, 3 in the middle; 0 %" + (
    " unknown."
  )


def test_empty_texts(tmp_path):
  sources, seen = seen_of(tmp_path, train=["good", " \n", ""], val=["\u3000"])
  (found,) = texts.check(sources, seen, 8)
  assert (found.level, found.details["count"]) == ("warning", 3)
  assert "train[1], train[2], val[0]" in found.message


def test_an_empty_half_of_a_pair(tmp_path):
  source = arrays({"text": ["a", "b"], "text_pair": ["", "c"]})
  seen = texts.survey(source, np.arange(2), tokenizer(tmp_path))
  assert seen.empty.tolist() == [True, False]
  assert seen.tokens.tolist() == [4, 5]  # [CLS] a [SEP] [SEP]
  assert seen.texts == ["a\t", "b\tc"]


def test_texts_that_are_cut(tmp_path):
  rows = ["good " * n for n in [1] * 95 + [10, 20, 30, 40, 50]]
  sources, seen = seen_of(tmp_path, train=rows)
  _, note = texts.check(sources, seen, 8)
  assert (note.level, note.details["count"]) == ("note", 5)
  # By hand: the 99 % quantile of 100 lengths is 0.01 of the way from the
  # 99th, 42, to the 100th, 52.
  assert note.details["length_for_99_percent"] == 43
  assert "data.max_length=43 would cut 1 %" in note.message
  sources, seen = seen_of(tmp_path, train=rows[90:])
  (cut,) = texts.check(sources, seen, 8)
  assert (cut.level, cut.details["share"]) == ("warning", 0.5)


def test_words_that_the_tokenizer_does_not_know(tmp_path):
  sources, seen = seen_of(
    tmp_path, train=["good film"] * 20, val=["good", "sehr gut"]
  )
  (found,) = texts.check(sources, seen, 8)
  assert found.level == "warning"
  assert found.details["shares"] == {"train": 0.0, "val": 2 / 7}
  assert "does not know 28.6 % of val's tokens" in found.message


def test_nearly_equal_texts_across_the_splits(tmp_path):
  sources, seen = seen_of(
    tmp_path,
    train=["a plane takes off from the island", "equal", "?!"],
    val=["A plane takes off, from the island!", "equal", "...", "other"],
  )
  (found,) = near.of_texts(sources, seen)
  # The equal one is a leak, and what has no letters is like nothing.
  assert found.details["pairs"] == [[0, 0, 1.0]]
  assert (found.level, found.details["share"]) == ("warning", 0.25)
  assert 'val[0] "A plane takes off, from the island!" ~ train[0]' in (
    found.message
  )
  sources, seen = seen_of(tmp_path, train=["good"], val=["good"])
  assert near.of_texts(sources, seen)[0].level == "ok"
