import hashlib

import numpy as np

from jft.data.duplicates import groups, matches


def hashed(words):
  rows = [hashlib.sha256(word.encode()).digest() for word in words.split()]
  return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, 32)


def test_matches():
  found = matches(hashed("e a b a z"), hashed("a b c b a"))
  assert found.tolist() == [-1, 0, 1, 0, -1]
  assert matches(hashed("a")[:0], hashed("a")).tolist() == []


def test_hashes_that_end_in_zeros_differ_from_shorter_ones():
  rows = np.zeros((3, 32), np.uint8)
  rows[1, 30], rows[2, 0] = 1, 1
  assert groups(rows) == []
  assert matches(rows, rows[::-1]).tolist() == [2, 1, 0]


def test_groups():
  found = groups(hashed("x a y a x a"))
  assert [group.tolist() for group in found] == [[0, 4], [1, 3, 5]]
  assert groups(hashed("a b")) == []


def test_against_a_dictionary():
  words = [str(i) for i in np.random.default_rng(0).integers(0, 300, 500)]
  known = {}
  for i, word in enumerate(words):
    known.setdefault(word, []).append(i)
  found = [group.tolist() for group in groups(hashed(" ".join(words)))]
  assert found == [rows for rows in known.values() if len(rows) > 1]
