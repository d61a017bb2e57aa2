import numpy as np
import pytest

from jft.data.buckets import bucket_of, buckets
from jft.errors import UserError


def test_buckets_are_rising_multiples_of_8_that_hold_everything():
  lengths = np.arange(1, 101)
  assert buckets(lengths, max_length=512) == (32, 56, 80, 104)
  assert buckets(lengths, max_length=512, count=2) == (56, 104)


def test_the_last_bucket_is_no_longer_than_max_length():
  assert buckets(np.arange(1, 101), max_length=90) == (32, 56, 80, 90)


def test_equal_lengths_make_one_bucket():
  assert buckets(np.full(10, 7), max_length=64) == (8,)


def test_a_length_gets_the_smallest_bucket_that_holds_it():
  got = [bucket_of(length, (8, 16, 20)) for length in (1, 8, 9, 17, 20)]
  assert got == [8, 8, 16, 20, 20]


def test_a_length_beyond_the_last_bucket_is_an_error():
  with pytest.raises(UserError, match=r"21 tokens.*\(8, 16, 20\)"):
    bucket_of(21, (8, 16, 20))
