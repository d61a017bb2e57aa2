import functools
import itertools
import subprocess
import sys
import threading

import numpy as np
import pytest

from jft import data
from jft.errors import UserError


def _encode(example):
  return {"x": np.full((3,), example["x"], np.float32)}


def _source(n=50, name="s"):
  return data.arrays(
    {"x": np.arange(n), "label": np.arange(n) % 3},
    name=name,
    label_names="abc",
  )


def _train(n=50, batch_size=8, **options):
  return data.batches(_source(n), batch_size, _encode, seed=1, **options)


def _equal(one, other):
  assert one.keys() == other.keys()
  for key in one:
    assert one[key].dtype == other[key].dtype
    np.testing.assert_array_equal(one[key], other[key])


@pytest.fixture
def tokenizer(tmp_path):
  words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "d"]
  (tmp_path / "vocab.txt").write_text("\n".join(words))
  return data.load_tokenizer(tmp_path, 40)


def _texts(n=120):
  rng = np.random.default_rng(0)
  texts = [
    " ".join(rng.choice(list("abcd"), k)) for k in rng.integers(1, 50, n)
  ]
  return data.arrays({"text": texts, "label": rng.integers(0, 2, n)}, name="t")


def test_a_batch_holds_inputs_label_mask_and_id():
  batch = _train().batch_at(3)
  assert sorted(batch) == ["id", "label", "mask", "x"]
  np.testing.assert_array_equal(batch["x"][:, 0], batch["id"])
  np.testing.assert_array_equal(batch["label"], batch["id"] % 3)
  assert batch["mask"].tolist() == [1.0] * 8
  assert {k: v.dtype.name for k, v in batch.items()} == {
    "id": "int32",
    "label": "int32",
    "mask": "float32",
    "x": "float32",
  }


def test_an_epoch_holds_every_example_once():
  loader = _train(n=48)
  assert (loader.num_examples, loader.steps_per_epoch) == (48, 6.0)
  for epoch in range(2):
    ids = [loader.batch_at(epoch * 6 + step)["id"] for step in range(6)]
    assert sorted(np.concatenate(ids)) == list(range(48))


@pytest.mark.parametrize("start", [0, 5, 13])
@pytest.mark.parametrize("options", [{}, {"cache_mb": 0}, {"prefetch": 0}])
def test_reading_on_from_any_step_is_the_same(start, options):
  plain, loader = _train(), _train(**options)
  got = list(loader.from_step(start, until=start + 4))
  assert len(got) == 4
  for step, batch in enumerate(got, start):
    _equal(batch, plain.batch_at(step))


def test_a_step_may_be_a_scalar_array():
  (batch,) = _train().from_step(np.array(4), until=np.int64(5))
  _equal(batch, _train().batch_at(4))


def test_a_new_process_makes_the_same_batch():
  code = """
import numpy as np
from jft import data
source = data.arrays({"x": np.arange(50), "label": np.arange(50) % 3})
encode = lambda e: {"x": np.full((3,), e["x"], np.float32)}
print(data.batches(source, 8, encode, seed=1).batch_at(11)["id"].tolist())
"""
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert done.stdout.strip() == str(_train().batch_at(11)["id"].tolist())


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_slices_of_the_processes_make_the_global_batch(count, tokenizer):
  # As many buckets as lengths: a slice padded by its own longest would show.
  tokens = {"lengths": range(3, 41), "window": 1}
  for source, encode, options in (
    (_source(), _encode, {}),
    (_texts(), tokenizer, tokens),
  ):
    make = functools.partial(
      data.batches, source, 8, encode, seed=1, process_count=1, **options
    )
    whole = make()
    parts = [make(process_index=i, process_count=count) for i in range(count)]
    for step in (0, 7, 20):
      slices = [part.batch_at(step) for part in parts]
      joined = {
        key: np.concatenate([piece[key] for piece in slices])
        for key in slices[0]
      }
      _equal(joined, whole.batch_at(step))


def test_skip_and_offset_leave_batches_out():
  _equal(_train().skip(3).batch_at(2), _train().batch_at(5))
  _equal(_train(offset=4).skip(1).batch_at(0), _train().batch_at(5))


@pytest.mark.parametrize("batch_size", [1, 3, 7, 64])
@pytest.mark.parametrize("kind", ["image", "text"])
def test_evaluation_covers_every_id_once(batch_size, kind, tokenizer):
  source = _source() if kind == "image" else _texts()
  encode = _encode if kind == "image" else tokenizer
  loader = data.eval_batches(source, batch_size, encode)
  for _ in range(2):
    got = list(loader)
    assert len(got) == len(loader) == -(-len(source) // batch_size)
    assert {len(batch["id"]) for batch in got} == {batch_size}
    ids = np.concatenate([b["id"] for b in got])
    mask = np.concatenate([b["mask"] for b in got])
    assert sorted(ids[mask == 1]) == list(range(len(source)))
    assert set(ids[mask == 0]) <= {-1}
  _equal(got[-1], loader.batch_at(len(loader) - 1))


def test_evaluation_slices_join_too():
  whole = data.eval_batches(_source(), 8, _encode)
  parts = [
    data.eval_batches(_source(), 8, _encode, process_index=i, process_count=2)
    for i in range(2)
  ]
  for batch, one, two in zip(whole, *parts, strict=True):
    joined = {k: np.concatenate([one[k], two[k]]) for k in one}
    _equal(joined, batch)


def test_an_unlabelled_source_can_be_evaluated_but_not_trained_on():
  source = data.arrays({"x": np.arange(5)}, name="plain")
  (batch,) = data.eval_batches(source, 8, _encode)
  assert sorted(batch) == ["id", "mask", "x"]
  with pytest.raises(UserError, match='plain has no "label"'):
    data.batches(source, 2, _encode, seed=0)


def test_texts_are_padded_to_a_few_lengths(tokenizer):
  source = _texts()
  loader = data.batches(source, 8, tokenizer, seed=0)
  assert len(loader.buckets) <= 4
  widths, padding = set(), 0.0
  for step in range(60):
    batch = loader.batch_at(step)
    widths.add(batch["input_ids"].shape[1])
    padding += 1 - batch["attention_mask"].mean()
    assert batch["attention_mask"].sum(1).max() <= batch["input_ids"].shape[1]
  assert widths == set(loader.buckets)
  plain = data.batches(source, 8, tokenizer, seed=0, window=1)
  shuffled = sum(
    1 - plain.batch_at(step)["attention_mask"].mean() for step in range(60)
  )
  assert padding < 0.8 * shuffled
  assert {
    b["input_ids"].shape[1] for b in data.eval_batches(source, 8, tokenizer)
  } == widths


def test_given_lengths_are_used_and_must_hold_every_example(tokenizer):
  loader = data.batches(_texts(), 8, tokenizer, seed=0, lengths=[40])
  assert loader.batch_at(0)["input_ids"].shape == (8, 40)
  with pytest.raises(UserError, match="40 tokens, longer than the last"):
    data.batches(_texts(), 8, tokenizer, seed=0, lengths=[16, 32])


def test_an_exception_on_a_thread_reaches_the_loop_with_its_example():
  def encode(example):
    if example["x"] == 9:
      raise ZeroDivisionError("oops")
    return _encode(example)

  loader = data.batches(_source(), 8, encode, seed=1)
  before = threading.active_count()
  with pytest.raises(ZeroDivisionError) as caught:
    list(itertools.islice(loader.from_step(0), 10))
  assert caught.value.__notes__ == ["in example 9 of s"]
  assert threading.active_count() == before


def test_closing_leaves_no_thread_behind():
  before = threading.active_count()
  batches = _train(cache_mb=0).from_step(0)
  next(batches)
  assert threading.active_count() > before
  batches.close()
  assert threading.active_count() == before


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"batch_size": 51}, "batch_size=51 is more than the 50 examples of s"),
    ({"batch_size": 0}, "batch_size=0"),
    ({"process_count": 3}, "multiple of the 3 processes"),
  ],
)
def test_what_cannot_be_done_is_named(options, message):
  with pytest.raises(UserError, match=message):
    _train(**options)


def test_a_step_before_the_first_is_an_error():
  with pytest.raises(UserError, match="step 2 with offset -3"):
    _train(offset=-3).batch_at(2)


def test_ants_and_bees_in_batches(jft_data):
  source = data.image_folder(jft_data / "hymenoptera" / "val")
  encode = data.make_image_encode(64, (0.5,) * 3, (0.5,) * 3, crop_pct=0.875)
  few = data.take(source, 12, seed=0)
  batch = data.batches(few, 4, encode, seed=0).batch_at(2)
  assert batch["image"].shape == (4, 64, 64, 3)
  assert abs(batch["image"].mean()) < 1
  assert np.bincount(few.labels).tolist() == [6, 6]
