import os
import pathlib

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from jft.data.shingles import jaccard, near_pairs, normal, shingles, signatures

TEXT = "A plane is taking off from the runway of the island."


def test_case_spaces_and_punctuation_are_set_aside():
  assert normal("Ok...") == normal(" ok ") == " ok "
  assert normal("snake_case") == " snake case "
  assert jaccard("I'm HOME...", "i m home") == 1.0


def test_shingles_of_short_and_of_empty_texts():
  assert shingles("ab") == {" ab  "}
  assert shingles("") == shingles("?!") == {"     "}
  assert jaccard("", "x") == 0.0


def test_jaccard_literally():
  # " abcd " has 2 runs of five, " abcde " 3: both have " abcd".
  assert jaccard("abcd", "abcde") == 1 / 4


def test_equal_texts_have_equal_signatures_whatever_is_beside_them():
  alone = signatures([TEXT])
  among = signatures(["x", TEXT * 5000, TEXT, "", TEXT.upper()])
  assert alone.shape == (1, 64)
  assert (among[2] == alone[0]).all()
  assert (among[4] == alone[0]).all()
  assert (among[0] != alone[0]).mean() > 0.9


def test_equal_minima_estimate_the_similarity():
  words = [f"word{i}" for i in range(400)]
  for shared in (100, 200, 300):
    a, b = " ".join(words[:300]), " ".join(words[300 - shared :])
    mine, yours = signatures([a, b])
    assert (mine == yours).mean() == pytest.approx(jaccard(a, b), abs=0.17)


def test_near_pairs():
  other = "A man is playing a large flute on the stage of a theatre."
  theirs = [other, TEXT.replace("island", "islands"), TEXT.replace(".", " !")]
  assert near_pairs([other[:20], TEXT], theirs) == [(1, 2, 1.0)]
  assert near_pairs([TEXT], [other]) == []


def test_all_pairs_of_the_messages_as_by_brute_force():
  """Short messages by hand: scikit-learn's shingles, every pair compared."""
  if "JFT_DATA" not in os.environ:
    pytest.skip("JFT_DATA is not set")
  file = pathlib.Path(os.environ["JFT_DATA"], "sms-spam", "SMSSpamCollection")
  lines = file.read_text(encoding="utf-8").splitlines()[:2000]
  texts = [line.split("\t", 1)[1] for line in lines]
  vectorizer = CountVectorizer(
    tokenizer=lambda text: [text[i : i + 5] for i in range(len(text) - 4)],
    preprocessor=lambda text: normal(text).ljust(5),
    token_pattern=None,
    binary=True,
  )
  counts = vectorizer.fit_transform(texts).astype(np.int32)
  both = (counts[:500] @ counts[500:].T).toarray()
  sizes = np.asarray(counts.sum(1)).ravel()
  similar = both / (sizes[:500, None] + sizes[None, 500:] - both)
  best = similar.max(1)
  found = near_pairs(texts[:500], texts[500:])
  assert {i for i, _, _ in found} == set(np.flatnonzero(best >= 0.8).tolist())
  assert len(found) == (best >= 0.8).sum() > 20
  for i, j, score in found:
    assert score == best[i] == similar[i, j]
