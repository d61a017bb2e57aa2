"""What a rare class weighs: numbers for a loss from counts of training."""

import numpy as np

from jft.errors import UserError


def balanced(counts: np.ndarray) -> np.ndarray:
  """Returns n / (k count): every class weighs as much as any other in all.

  Args:
    counts: Int["k"], examples of each class.

  Returns:
    Float64["k"], whose mean over the examples is 1.

  Raises:
    UserError: if a class has no example.

  Source: scikit-learn's `compute_class_weight("balanced", ...)`.

  >>> balanced(np.array([3, 1])).round(3).tolist()
  [0.667, 2.0]
  """
  _check(counts)
  return counts.sum() / (len(counts) * counts)


def effective(counts: np.ndarray, beta: float = 0.999) -> np.ndarray:
  """Returns (1 - beta) / (1 - beta**count), scaled to a sum of k.

  Between no weights (beta 0) and the inverse of the counts (beta towards 1):
  the more examples a class has, the less a further one adds.

  Args:
    counts: Int["k"], examples of each class.
    beta: from 0 to below 1.

  Raises:
    UserError: if a class has no example, or for another beta.

  Source: Cui et al., 2019 (arXiv:1901.05555), equation 10 and section 5.

  >>> effective(np.array([3, 1]), beta=0.5).round(4).tolist()
  [0.7273, 1.2727]
  """
  _check(counts)
  if not 0 <= beta < 1:
    raise UserError(f"beta={beta} of the effective number must be in [0, 1).")
  weights = (1 - beta) / (1 - beta ** counts.astype(np.float64))
  return weights * (len(counts) / weights.sum())


def positive(counts: np.ndarray, n: int) -> np.ndarray:
  """Returns the no's for each yes, of classes that exclude none.

  Args:
    counts: Int["k"], examples that are of the class.
    n: examples in all.

  Raises:
    UserError: if no example is of a class.

  >>> positive(np.array([1, 5]), 10).tolist()
  [9.0, 1.0]
  """
  _check(counts)
  return (n - counts) / counts


def log_prior(counts: np.ndarray) -> np.ndarray:
  """Returns the logarithms of the classes' shares, Float64["k"].

  Raises:
    UserError: if a class has no example.
  """
  _check(counts)
  return np.log(counts / counts.sum())


def _check(counts: np.ndarray) -> None:
  if not (np.asarray(counts) > 0).all():
    i = int(np.flatnonzero(np.asarray(counts) <= 0)[0])
    raise UserError(
      f"class {i} of {len(counts)} has no training example, so it has no"
      " weight; add some, or leave it out of data.label_names."
    )
