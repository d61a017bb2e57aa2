import numpy as np

from jft.data import arrays, digests, fingerprint, split, subset, take
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


class Counting:
  name, label_names, read = "huge", None, 0

  def __init__(self, n):
    self.n, self.labels = n, np.arange(n) % 3

  def __len__(self):
    return self.n

  def __getitem__(self, i):
    self.read += 1
    return {"text": str(i), "label": i % 3}


def test_a_huge_source_is_sampled():
  source = Counting(10**6)
  found = digests(source, limit=50)
  assert (source.read, found.sampled, len(found.index)) == (50 + 8, True, 50)
  assert found.index[[0, -1]].tolist() == [0, 10**6 - 1]
  assert (found.labels == found.index % 3).all()


def test_a_budget_of_bytes_bounds_what_is_read():
  images = arrays({"image": np.zeros((100, 64, 64, 1), np.uint8)})
  found = digests(images, budget_mb=10 * 4096 / 2**20)
  assert (len(found.index), found.sampled) == (10, True)
  assert not digests(images).sampled


def test_a_split_hashes_each_example_once():
  source = Counting(300)
  parts = split(source, {"train": 0.8, "test": 0.2})
  assert source.read == 300
  few = take(parts["train"], 60, seed=0)
  found = digests(few, limit=3, budget_mb=0)
  fingerprint(parts["test"])
  assert source.read == 300
  assert not found.sampled  # No bound counts where nothing is read.
  for i in (0, 59):
    assert found.rows[i].tobytes() == input_digest(few, i)
    assert found.labels[i] == few[i]["label"]


def test_a_split_by_a_key_knows_no_hashes_of_inputs():
  parts = split(
    TEXTS, {"a": 0.5, "b": 0.5}, seed=1, key=lambda e: e["text"] == "a"
  )
  for part in parts.values():
    assert part.digests is None
    assert digests(part).rows[0].tobytes() == input_digest(part, 0)


def test_an_unlabelled_subset_has_a_fingerprint():
  plain = arrays({"text": ["a", "b"]})
  assert fingerprint(subset(plain, [1, 0])) == fingerprint(plain)
