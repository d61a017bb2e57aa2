"""Metrics: per example on the device, over a whole set on the host."""

import jax.numpy as jnp
import numpy as np

from jft.errors import UserError
from jft.typing import Any, Array, Float, Int, Sequence


def accuracy(
  logits: Float[Array, "b k"], label: Int[Array, "b"]
) -> Float[Array, "b"]:
  """1 where the largest logit is the label's, else 0; NaN is never right."""
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
