import numpy as np
import pytest

from jft import data
from jft.data.by_class import ByClass
from jft.errors import UserError

COUNTS = (90, 9, 4)
LABELS = np.random.default_rng(0).permutation(np.repeat(range(3), COUNTS))


def drawn(sampling, n, seed=0):
  return ByClass.of(LABELS, sampling, seed)(np.arange(n))


def test_balanced_classes_come_equally_often_in_every_round():
  index, _ = drawn("balanced", 300)
  rounds = LABELS[index].reshape(-1, 3)
  np.testing.assert_array_equal(np.sort(rounds, 1), [[0, 1, 2]] * 100)
  assert len({tuple(row) for row in rounds.tolist()}) == 6  # All orders.


def test_the_roots_of_the_sizes():
  index, _ = drawn("sqrt", 30_000)
  share = np.bincount(LABELS[index]) / len(index)
  want = np.sqrt(COUNTS) / np.sqrt(COUNTS).sum()
  np.testing.assert_allclose(share, want, atol=0.01)


@pytest.mark.parametrize("sampling", ["balanced", "sqrt"])
def test_a_class_passes_once_before_any_of_it_comes_again(sampling):
  index, epochs = drawn(sampling, 2000)
  for c, size in enumerate(COUNTS):
    mine = LABELS[index] == c
    for epoch in range(int(epochs[mine].max())):  # The last one is cut off.
      seen = index[mine & (epochs == epoch)]
      np.testing.assert_array_equal(np.sort(seen), np.flatnonzero(c == LABELS))
      assert len(seen) == size
      assert (np.diff(epochs[mine]) >= 0).all()


def test_any_position_is_a_function_of_the_seed():
  run = ByClass.of(LABELS, "sqrt", 3)
  whole, epochs = run(np.arange(1000))
  some = np.array([999, 3, 500, 3])
  np.testing.assert_array_equal(run(some)[0], whole[some])
  np.testing.assert_array_equal(run(some)[1], epochs[some])
  assert (ByClass.of(LABELS, "sqrt", 4)(np.arange(1000))[0] != whole).any()


def test_the_order_is_these_literals_forever():
  # A change here changes what every resumed run reads.
  got = ByClass.of(np.array([0, 0, 0, 1]), "balanced", 0)(np.arange(8))
  assert got[0].tolist() == [0, 3, 2, 3, 3, 1, 2, 3]
  assert got[1].tolist() == [0, 0, 0, 1, 2, 0, 1, 3]


def test_batches_are_drawn_by_class():
  source = data.arrays({"image": np.zeros((103, 1), np.uint8), "label": LABELS})
  batches = data.batches(
    source, 12, lambda e: {"image": e["image"]}, seed=0, sampling="balanced"
  )
  for step in (0, 7):
    label = batches.batch_at(step)["label"]
    assert np.bincount(label).tolist() == [4, 4, 4]


def test_texts_are_drawn_by_class_within_a_window():
  from jft.data.order import BucketedOrder

  lengths = np.random.default_rng(1).integers(3, 60, len(LABELS))
  run = ByClass.of(LABELS, "balanced", 0)
  order = BucketedOrder(lengths, 6, 0, 5, run)
  window = np.concatenate([order.indices(step) for step in range(5)])
  np.testing.assert_array_equal(np.sort(window), np.sort(run(np.arange(30))[0]))
  assert order.epochs(4).shape == (6,)


def test_what_cannot_be_drawn_by_class():
  with pytest.raises(UserError, match="these labels are no classes"):
    ByClass.of(np.array([0.5, 1.5]), "balanced", 0)
  with pytest.raises(UserError, match="choose one of natural, balanced, sqrt"):
    ByClass.of(LABELS, "even", 0)
