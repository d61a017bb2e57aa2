"""Metrics: per example on the device, over a whole set on the host."""

import math

import jax.numpy as jnp
import numpy as np

from jft.errors import UserError
from jft.typing import Any, Array, Float, Int, Sequence

_ROWS = 1000  # Queries that are compared with all passages at a time.


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


def multi_label_report(
  label: np.ndarray, logits: np.ndarray, names: Sequence[Any]
) -> dict[str, Any]:
  """Precision, recall, F1 and average precision by class, and their means.

  Args:
    label: Bool["n k"], of which classes each example is.
    logits: Float["n k"]; above 0 a class is predicted.
    names: of the k classes, in index order.

  Returns:
    {"classes": [{name, precision, recall, f1, average_precision, support}],
    "micro_f1", "macro_f1", "map"}. A class that no example is of has no average
    precision (NaN) and is left out of `map`.

  Source: scikit-learn's `precision_recall_fscore_support` and
  `average_precision_score`.
  """
  from sklearn import metrics

  label, predicted = label.astype(int), (logits > 0).astype(int)
  hits = (label & predicted).sum(0)
  guessed, support = predicted.sum(0), label.sum(0)
  rank: Any = metrics.average_precision_score
  precise = [
    float(rank(label[:, i], logits[:, i])) if n else math.nan
    for i, n in enumerate(support.tolist())
  ]
  f1 = _ratio(2 * hits, guessed + support)
  rows = zip(
    names,
    _ratio(hits, guessed),
    _ratio(hits, support),
    f1,
    precise,
    support,
    strict=True,
  )
  return {
    "classes": [
      {
        "name": name,
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(both),
        "average_precision": average,
        "support": int(n),
      }
      for name, precision, recall, both, average, n in rows
    ],
    "micro_f1": float(_ratio(2 * hits.sum(), guessed.sum() + support.sum())),
    "macro_f1": float(f1.mean()),
    "map": float(np.nanmean(precise)) if support.any() else math.nan,
  }


def _ratio(part: Any, whole: Any) -> np.ndarray:
  """Returns part / whole, 0 where there is no whole."""
  return np.where(whole > 0, part / np.maximum(whole, 1), 0.0)


def quadratic_kappa(label: np.ndarray, predicted: np.ndarray) -> float:
  """Cohen's kappa with quadratic weights: 1 agrees, 0 is as by chance.

  NaN where it is not defined: if all of both are one and the same.

  Args:
    label, predicted: Int["n"], ranks.

  Source: equals scikit-learn's `cohen_kappa_score(weights="quadratic")`.

  >>> quadratic_kappa(np.array([0, 1, 2]), np.array([0, 1, 2]))
  1.0
  """
  x, y = np.asarray(label, np.float64), np.asarray(predicted, np.float64)
  by_chance = x.var() + y.var() + (x.mean() - y.mean()) ** 2
  if not by_chance > 0:
    return math.nan
  return float(1 - np.mean((x - y) ** 2) / by_chance)


def ranks_of_own(
  query: np.ndarray,
  passage: np.ndarray,
  temperature: float = 1.0,
  texts: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the place of each query's own passage, from 1, and its surprise.

  Passages are ordered by their cosine; those that are as near as one's own
  stand before it. The surprise is -log of the own passage's softmax of cosines
  over the temperature. A passage that is there twice counts once, and one that
  belongs to the same query elsewhere is no rival.

  Args:
    query: Float["n d"].
    passage: Float["m d"], the first n are the queries' own.
    temperature: of the softmax.
    texts: UInt["n 2"] and UInt["m 2"], equal for equal queries and passages;
      None: all differ.

  Returns:
    Int64["n"], and Float64["n"].

  >>> ranks_of_own(np.eye(2), np.eye(2)[::-1])[0].tolist()
  [2, 2]
  """
  queries, passages = unit(query), unit(passage)
  again, others = _repeats(len(queries), texts)
  ranks, surprise = [], []
  for start in range(0, len(queries), _ROWS):
    cosines = queries[start : start + _ROWS] @ passages.T
    rows = np.arange(len(cosines))
    own = cosines[rows, rows + start]
    cosines[:, again] = -np.inf
    for row in rows:
      cosines[row, others[start + row]] = -np.inf
    cosines[rows, rows + start] = own
    # Not "own <= cosines": what is no number is never found.
    ranks.append(cosines.shape[1] - (cosines < own[:, None]).sum(1))
    scores = cosines / temperature
    most = scores.max(1)
    total = np.log(np.exp(scores - most[:, None]).sum(1)) + most
    surprise.append(total - own / temperature)
  return np.concatenate(ranks), np.concatenate(surprise)


def _repeats(
  rows: int, texts: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, list[list[int]]]:
  """Returns the passages seen before, and those that are right for each row."""
  if texts is None:
    return np.zeros(0, int), [[]] * rows
  queries, passages = ([*map(tuple, names.tolist())] for names in texts)
  places: dict[tuple, list[int]] = {}
  for place, passage in enumerate(passages):
    places.setdefault(passage, []).append(place)
  right: dict[tuple, set[int]] = {}
  for query, passage in zip(queries, passages[:rows], strict=True):
    right.setdefault(query, set()).update(places[passage])
  again = [place for found in places.values() for place in found[1:]]
  return np.array(again, int), [[*right[query]] for query in queries]


def unit(x: np.ndarray) -> np.ndarray:
  """Returns vectors of length 1 in float64, along the last axis."""
  wide = np.asarray(x, np.float64)
  return wide / np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), 1e-12)


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
