"""Metrics: per example on the device, over a whole set on the host."""

import math

import jax.numpy as jnp
import numpy as np

from jft.errors import UserError
from jft.typing import Any, Array, Float, Int, Sequence


def accuracy(
  logits: Float[Array, "b k"], label: Int[Array, "b"] | Float[Array, "b k"]
) -> Float[Array, "b"]:
  """1 where the largest logit is the label's, else 0; NaN is never right.

  Of shares Float["b k"], as mixup makes them, the label is the largest.
  """
  if label.ndim == logits.ndim:
    label = jnp.argmax(label, axis=-1)
  right = jnp.argmax(logits, axis=-1) == label
  return (right & ~jnp.isnan(logits).any(axis=-1)).astype(jnp.float32)


def top_k(
  logits: Float[Array, "b k"], label: Int[Array, "b"], k: int
) -> Float[Array, "b"]:
  """1 where the label is among the `k` largest logits, else 0; as above."""
  own = jnp.take_along_axis(logits, label[:, None], axis=-1)
  return (jnp.sum(~(logits <= own), axis=-1) < k).astype(jnp.float32)


def classification_report(
  label: np.ndarray, predicted: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
  """Precision, recall and F1 by class, their macro means and the confusions.

  Args:
    label: Int["n"] true classes.
    predicted: Int["n"] predicted classes.
    names: the k class names, in index order.

  Returns:
    {"classes": [{name, precision, recall, f1, support}], "macro_f1": float,
    "confusion": k lists of k counts (rows true, columns predicted)}.

  Source: scikit-learn's `precision_recall_fscore_support`; a class that is
  never predicted has precision 0.
  """
  from sklearn import metrics

  if len(label) != len(predicted):
    raise UserError(
      f"{len(label)} labels against {len(predicted)} predictions."
    )
  classes = np.arange(len(names))
  score: Any = metrics.precision_recall_fscore_support
  rows = score(label, predicted, labels=classes, zero_division=0.0)
  return {
    "classes": [
      {
        "name": name,
        "precision": float(rows[0][i]),
        "recall": float(rows[1][i]),
        "f1": float(rows[2][i]),
        "support": int(rows[3][i]),
      }
      for i, name in enumerate(names)
    ],
    "macro_f1": float(np.mean(rows[2])),
    "confusion": metrics.confusion_matrix(
      label, predicted, labels=classes
    ).tolist(),
  }


def entropy(counts: np.ndarray) -> float:
  """Returns the entropy of counts or shares, in nats.

  >>> round(entropy(np.array([5, 5, 0])), 4)
  0.6931
  """
  shares = counts[counts > 0] / counts.sum()
  # Plus zero: never minus zero.
  return float(-(shares * np.log(shares)).sum()) + 0.0


def pearson(x: np.ndarray, y: np.ndarray) -> float:
  """Returns the linear correlation of two rows of numbers.

  NaN where it is not defined: for fewer than two, or where all of one row are
  equal.

  Args:
    x, y: Float["n"].

  Source: equals `scipy.stats.pearsonr`.

  >>> round(pearson(np.array([1, 2, 4]), np.array([3, 5, 9])), 6)
  1.0
  """
  a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
  if len(a) < 2 or not (np.ptp(a) > 0 and np.ptp(b) > 0):
    return math.nan
  a, b = a - a.mean(), b - b.mean()
  size = np.linalg.norm(a) * np.linalg.norm(b)
  return float(np.clip(a @ b / size, -1, 1)) if size else math.nan


def spearman(x: np.ndarray, y: np.ndarray) -> float:
  """Returns the correlation of the ranks; equal numbers share their mean rank.

  NaN where it is not defined, and if a number is NaN.

  Args:
    x, y: Float["n"].

  Source: equals `scipy.stats.spearmanr`.

  >>> round(spearman(np.array([1, 2, 4]), np.array([1, 10, 100])), 6)
  1.0
  """
  if np.isnan(x).any() or np.isnan(y).any():
    return math.nan
  return pearson(_ranks(x), _ranks(y))


def _ranks(x: np.ndarray) -> np.ndarray:
  _, place, count = np.unique(x, return_inverse=True, return_counts=True)
  last = np.cumsum(count)
  return (last - (count - 1) / 2)[place]
