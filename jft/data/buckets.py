"""A few padded lengths, so that a text step compiles a few times only."""

from collections.abc import Sequence

import numpy as np

from jft.errors import UserError


def buckets(
  lengths: np.ndarray, max_length: int, count: int = 4
) -> tuple[int, ...]:
  """Chooses padded lengths by quantiles, rounded up to multiples of 8.

  Args:
    lengths: Int[n], tokens of each example.
    max_length: no bucket is longer.
    count: how many buckets at most.

  Returns:
    Rising lengths; the last one holds the longest example.

  >>> buckets(np.array([3, 9, 20, 31, 40]), max_length=36, count=2)
  (24, 36)
  """
  clipped = np.minimum(lengths, max_length)
  share = np.arange(1, count + 1) / count
  chosen = np.quantile(clipped, share, method="inverted_cdf").astype(int)
  rounded = np.minimum(-(-chosen // 8) * 8, max_length)
  return tuple(int(length) for length in np.unique(rounded))


def bucket_of(length: int, lengths: Sequence[int]) -> int:
  """Returns the smallest bucket that holds `length` tokens.

  Raises:
    UserError: if even the last bucket is too short.
  """
  for bucket in lengths:
    if length <= bucket:
      return bucket
  raise UserError(
    f"an example has {length} tokens, longer than the last of the buckets"
    f" {tuple(lengths)}; add a bucket or lower max_length."
  )
