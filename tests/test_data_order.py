import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jft.data.order import BucketedOrder, ShuffledOrder, index_at


@settings(max_examples=50, deadline=None)
@given(
  n=st.integers(1, 300), seed=st.integers(0, 2**40), epoch=st.integers(0, 9)
)
def test_every_epoch_is_a_permutation(n, seed, epoch):
  index = index_at(np.arange(epoch * n, (epoch + 1) * n), n, seed)
  np.testing.assert_array_equal(np.sort(index), np.arange(n))


def test_the_order_is_these_literals_forever():
  # A change here changes what every resumed run reads.
  got = index_at(np.arange(20), 10, seed=0)
  assert got[:10].tolist() == [9, 8, 5, 1, 0, 7, 3, 2, 6, 4]
  assert got[10:].tolist() == [2, 9, 4, 6, 8, 0, 5, 3, 1, 7]


def test_positions_can_be_asked_in_any_order_and_number():
  whole = index_at(np.arange(1000), 97, seed=5)
  some = np.array([999, 3, 500, 3])
  np.testing.assert_array_equal(index_at(some, 97, seed=5), whole[some])


@pytest.mark.parametrize("other", [{"seed": 1}, {"name": "take"}])
def test_seeds_and_streams_differ(other):
  plain = index_at(np.arange(50), 50, seed=0)
  assert (index_at(np.arange(50), 50, **{"seed": 0, **other}) != plain).any()


def test_the_next_epoch_of_a_seed_is_not_the_first_of_the_next_seed():
  n = 64
  later = index_at(np.arange(n, 2 * n), n, seed=0)
  assert (later != index_at(np.arange(n), n, seed=1)).any()


def test_all_permutations_of_four_are_about_equally_frequent():
  seen = [tuple(index_at(np.arange(4), 4, seed)) for seed in range(2400)]
  counts = np.unique(seen, axis=0, return_counts=True)[1]
  assert len(counts) == 24
  assert ((counts - 100) ** 2 / 100).sum() < 49.7  # chi2, 23 df, p = 0.001


def test_a_huge_set_costs_no_memory_and_no_time():
  index = index_at(np.array([0, 10**12]), 10**11, seed=0)
  assert index.max() < 10**11


def _bucketed(n=230, batch_size=8, window=5, seed=3):
  lengths = np.random.default_rng(0).integers(3, 60, n)
  return lengths, BucketedOrder(lengths, batch_size, seed, window)


def test_bucketed_windows_hold_the_examples_of_the_shuffled_order():
  lengths, order = _bucketed()
  plain = ShuffledOrder(len(lengths), 8, 3)
  for first in (0, 5, 35):
    steps = range(first, first + 5)
    got = np.concatenate([order.indices(step) for step in steps])
    want = np.concatenate([plain.indices(step) for step in steps])
    np.testing.assert_array_equal(np.sort(got), np.sort(want))


def test_bucketed_epochs_cover_every_example_once():
  _, order = _bucketed(n=240, batch_size=8, window=5)
  for epoch in range(3):
    steps = range(epoch * 30, (epoch + 1) * 30)
    got = np.concatenate([order.indices(step) for step in steps])
    np.testing.assert_array_equal(np.sort(got), np.arange(240))


def test_bucketed_batches_hold_one_length_and_come_in_no_order_of_length():
  lengths, order = _bucketed()
  means = []
  for step in range(5):
    tokens = lengths[order.indices(step)]
    means.append(tokens.mean())
    assert np.ptp(tokens) <= 25  # of 57; a shuffled batch spans about 50
  assert sorted(means) != means


def test_bucketed_steps_do_not_depend_on_what_was_asked_before():
  _, first = _bucketed()
  _, second = _bucketed()
  forward = [first.indices(step) for step in range(40)]
  for step in (39, 0, 17):
    np.testing.assert_array_equal(second.indices(step), forward[step])


def test_a_window_is_no_longer_than_an_epoch():
  assert BucketedOrder(np.ones(100, int), 30, seed=0, window=50).window == 3


def test_a_new_process_has_the_same_order():
  code = (
    "import numpy as np; from jft.data.order import index_at;"
    "print(index_at(np.arange(990, 1010), 1000, 7).tolist())"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  here = index_at(np.arange(990, 1010), 1000, 7).tolist()
  assert done.stdout.strip() == str(here)
