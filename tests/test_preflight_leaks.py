import numpy as np

from jft.data import arrays, digests, split
from jft.preflight.leaks import check


def source(rows, name):
  texts, labels = zip(*rows, strict=True)
  return arrays(
    {"text": list(texts), "label": np.array(labels)},
    name=name,
    label_names=("no", "yes"),
  )


def run(**splits):
  sources = {name: source(rows, name) for name, rows in splits.items()}
  return check(sources, {name: digests(s) for name, s in sources.items()})


TRAIN = [("good film", 1), ("bad film", 0), ("dull", 0), ("superb", 1)]


def test_nothing_is_shared():
  (found,) = run(train=TRAIN, val=[("bad film ", 0)], test=[("Dull", 0)])
  assert found.level == "ok"
  assert found.message == "no input of val or test is in train."


def test_a_shared_input_is_found_whatever_its_label():
  found, *_ = run(train=TRAIN, val=[("new", 1), ("newer", 1), ("dull", 1)])
  assert (found.check, found.level) == ("leaks", "warning")
  assert found.details["pairs"] == [[2, 2]]
  assert "1 of 3 val examples (33.3 %) are in train too" in found.message
  assert 'val[2] "dull" = train[2] "dull"' in found.message
  assert "leave data.validation empty" in found.message


def test_a_split_that_training_holds_is_refused():
  found, *_ = run(train=TRAIN, val=[("x", 0)], test=TRAIN[:2])
  assert found.details["split"] == "test"
  assert (found.level, found.details["share"]) == ("error", 1.0)


def test_conflicts_and_repeats():
  rows = [*TRAIN, ("dull", 1), ("superb", 1), ("dull", 0)]
  fine, torn, repeats = run(train=rows, val=[("x", 0)])
  assert fine.level == "ok"
  assert (torn.check, torn.level) == ("conflicts", "warning")
  assert "more than one label: 1, in 3 training examples." in torn.message
  assert 'train[2] "dull" (no) = train[4] "dull" (yes)' in torn.message
  assert (repeats.level, repeats.details["count"]) == ("note", 3)


def test_a_split_by_content_never_leaks():
  whole = source([(f"text {i % 70}", i % 2) for i in range(200)], "all")
  parts = split(whole, {"train": 0.6, "val": 0.4})
  found = check(parts, {name: digests(s) for name, s in parts.items()})
  assert (found[0].check, found[0].level) == ("leaks", "ok")


def test_a_sample_says_so():
  sources = {
    "train": source([(str(i), 0) for i in range(40)], "train"),
    "val": source([("x", 1)], "val"),
  }
  hashed = {
    "train": digests(sources["train"], limit=10),
    "val": digests(sources["val"]),
  }
  assert "Looked at 10 of 40 train" in check(sources, hashed)[0].message
