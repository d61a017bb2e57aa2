import numpy as np

from jft.data import arrays, fingerprint, subset
from jft.data.hashing import digest, input_digest

TEXTS = arrays({"text": ["a", "b", "c", "a"], "label": [0, 1, 0, 1]})


def test_the_digest_is_this_literal_forever():
  # A change here moves examples between splits.
  example = {"image": np.arange(6, dtype=np.uint8).reshape(2, 3), "text": "é"}
  assert digest(example).hex() == (
    "0af2473f4245ae93bbe1efd4556b6892aa864f6fe68f0b7c376146e0203faf48"
  )


def test_shapes_types_and_names_count_but_not_the_order_of_keys():
  x = np.arange(6, dtype=np.float32)
  base = digest({"x": x, "y": 1})
  assert digest({"y": np.int64(1), "x": x}) == base
  assert digest({"x": x.astype(">f4"), "y": 1}) == base
  for other in (
    {"x": x.reshape(2, 3), "y": 1},
    {"x": x.astype(np.float64), "y": 1},
    {"x": x, "z": 1},
    {"x": x, "y": "1"},
  ):
    assert digest(other) != base


def test_the_input_digest_leaves_the_label_out():
  assert input_digest(TEXTS, 0) == input_digest(TEXTS, 3)
  assert input_digest(TEXTS, 0) != input_digest(TEXTS, 1)


def test_a_fingerprint_is_of_the_contents_not_of_the_order():
  whole = fingerprint(TEXTS)
  assert len(whole) == 64
  assert fingerprint(subset(TEXTS, [3, 1, 0, 2])) == whole
  assert fingerprint(subset(TEXTS, [3, 1, 0])) != whole
  relabelled = arrays({"text": ["a", "b", "c", "a"], "label": [0, 1, 1, 1]})
  assert fingerprint(relabelled) != whole


def test_a_huge_source_is_sampled():
  class Counting:
    name, label_names, read = "huge", None, 0

    def __len__(self):
      return 10**6

    def __getitem__(self, i):
      self.read += 1
      return {"text": str(i)}

  source = Counting()
  fingerprint(source, limit=50)
  assert source.read == 50


def test_an_unlabelled_subset_has_a_fingerprint():
  plain = arrays({"text": ["a", "b"]})
  assert fingerprint(subset(plain, [1, 0])) == fingerprint(plain)
