"""Ordinal regression: one of ordered classes, such as stars."""

import types

import jax
import jax.numpy as jnp
import numpy as np

from jft import losses, metrics
from jft.losses.ordinal import corn_rank
from jft.tasks.task import Expected, Task
from jft.typing import Any, Array, Batch, Float, Outputs, Sequence

BETTER = types.MappingProxyType(
  {
    "val/kappa": "max",
    "val/accuracy": "max",
    "val/mae": "min",
    "val/loss": "min",
  }
)


def ordinal(ranks: int) -> Task:
  """One of ordered classes: CORN's loss, accuracy and quadratic kappa.

  The model has one output fewer than there are ranks; see `losses.corn`. An
  example counts as many times as it answers questions, so that the mean is
  that of the original. Over a whole split there are `accuracy`, `mae` in ranks,
  in which all examples count the same, and `kappa`, Cohen's with quadratic
  weights.

  Args:
    ranks: how many there are, 2 or more.

  Source: Shi et al., 2021 (arXiv:2111.08851), CORN.
  """

  def weight(batch: Batch) -> Float[Array, "b"]:
    return losses.corn_questions(batch["label"], ranks - 1)

  return Task(
    loss=lambda outputs, batch: losses.corn(outputs["logits"], batch["label"]),
    metrics={"accuracy": _accuracy, "mae": _error},
    weight=weight,
    right="accuracy",
    kept=_kept,
    summary=_summary,
    report=_report,
    rows=_rows,
    answer=lambda label, names: names[int(label)],
    expected=_expected,
    name="ordinal",
  )


def _kept(outputs: Outputs) -> dict[str, Array]:
  logits = outputs["logits"].astype(jnp.float32)
  above = jnp.cumprod(jax.nn.sigmoid(logits), axis=-1)
  return {"rank": corn_rank(logits), "above": above}


def _accuracy(outputs: Outputs, batch: Batch) -> Float[Array, "b"]:
  return (corn_rank(outputs["logits"]) == batch["label"]).astype(jnp.float32)


def _error(outputs: Outputs, batch: Batch) -> Float[Array, "b"]:
  return losses.absolute_error(corn_rank(outputs["logits"]), batch["label"])


def _summary(seen: Any) -> dict[str, float]:
  label, rank = np.asarray(seen.label), seen.outputs["rank"]
  return {
    "accuracy": float((label == rank).mean()),
    "mae": float(np.abs(label - rank).mean()),
    "kappa": metrics.quadratic_kappa(label, rank),
  }


def _report(seen: Any, names: Sequence[str]) -> dict[str, Any]:
  label = np.asarray(seen.label)
  return metrics.classification_report(label, seen.outputs["rank"], names)


def _rows(seen: Any, names: Sequence[str]) -> list[dict[str, Any]]:
  above = np.pad(seen.outputs["above"], ((0, 0), (1, 1)))
  above[:, 0] = 1  # Every rank is above none.
  shares = above[:, :-1] - above[:, 1:]
  return [
    {
      "label": names[rank],
      "probability": round(float(row[rank]), 6),
      "probabilities": {
        name: round(float(p), 6) for name, p in zip(names, row, strict=True)
      },
    }
    for rank, row in zip(seen.outputs["rank"].tolist(), shares, strict=True)
  ]


def _expected(labels: np.ndarray, k: int) -> Expected:
  """Even guesses have ln 2 a question; knowing the shares of yes, less."""
  asked = [labels[labels >= j] for j in range(k - 1)]
  questions = sum(map(len, asked))
  informed = sum(
    len(of) * metrics.entropy(np.bincount(of > j, minlength=2))
    for j, of in enumerate(asked)
    if len(of)
  )
  even = float(np.log(2))
  return Expected(
    even,
    f"even guesses have ln 2 = {even:.3f}",
    informed / max(questions, 1),
    "the frequencies of the ranks",
    0.5,
    "its ranks may stand in another order than data.label_names",
  )
