"""Retrieval: texts that belong together found by the cosine of vectors."""

import functools
import types

import jax.numpy as jnp
import numpy as np

from jft import losses, metrics
from jft.tasks.task import Task
from jft.typing import Any, Array, Batch, Callable, Float, Outputs, Sequence

BETTER = types.MappingProxyType(
  {
    "val/recall_at_1": "max",
    "val/recall_at_10": "max",
    "val/mrr": "max",
    "val/loss": "min",
  }
)
_LARGEST = 10


def retrieval(
  *,
  temperature: float = 0.05,
  symmetric: bool = False,
  margin: float | None = None,
) -> Task:
  """A query's passage among all others: ranking by in-batch negatives.

  The model's `features` are [b s d], as `siamese.apart` makes them: of the
  query, of its passage and, with s = 3, of a passage that does not belong to
  it. In training, what a query is compared with are the passages of the whole
  batch, on all devices. In evaluation they are those of the whole split, so no
  number depends on the batch size: `recall_at_1`, `recall_at_10`, `mrr`, and of
  the ranking loss `loss`.

  Where the batch has `texts` [b s 2], which equal texts share, a passage that
  is there twice counts once, and what belongs to an equal query is never a
  wrong answer.

  Args:
    temperature: what cosines are divided by.
    symmetric: learn to find the query of a passage too.
    margin: learn by triplets with this margin instead; needs s = 3.

  Source: `losses.multiple_negatives_ranking`, `losses.triplet_margin`.
  """
  if margin is not None:
    loss: Callable[..., Any] = functools.partial(_triplets, margin)
  else:
    loss = functools.partial(_ranking, temperature, symmetric)
  return Task(
    loss=loss,
    metrics={},
    across=True,
    kept=lambda outputs: {"features": outputs["features"]},
    summary=functools.partial(
      _summary, None if margin is not None else temperature, symmetric
    ),
    rows=_rows,
    answer=lambda label, names: "they belong together",
    name="retrieval",
  )


def _ranking(
  temperature: float,
  symmetric: bool,
  outputs: Outputs,
  batch: Batch,
  *,
  axis_name: str | None = None,
) -> Float[Array, "b"]:
  features = outputs["features"]
  return losses.multiple_negatives_ranking(
    features[:, 0],
    features[:, 1],
    negative=features[:, 2] if features.shape[1] > 2 else None,
    texts=batch.get("texts"),
    mask=batch["mask"],
    temperature=temperature,
    symmetric=symmetric,
    axis_name=axis_name,
  )


def _triplets(
  margin: float,
  outputs: Outputs,
  batch: Batch,
  *,
  axis_name: str | None = None,
) -> Float[Array, "b"]:
  anchor, positive, negative = jnp.unstack(outputs["features"], axis=1)
  return losses.triplet_margin(anchor, positive, negative, margin=margin)


def _summary(
  temperature: float | None, symmetric: bool, seen: Any
) -> dict[str, float]:
  features = seen.outputs["features"]
  # The passages of all, then what belongs to none.
  query, passages = features[:, 0], _flat(features[:, 1:])
  texts = seen.texts
  ranks, own = metrics.ranks_of_own(
    query,
    passages,
    temperature or 1.0,
    None if texts is None else (texts[:, 0], _flat(texts[:, 1:])),
  )
  found = {
    "recall_at_1": float((ranks <= 1).mean()),
    f"recall_at_{_LARGEST}": float((ranks <= _LARGEST).mean()),
    "mrr": float((1 / ranks).mean()),
  }
  if temperature is None:
    return found
  if symmetric:
    _, back = metrics.ranks_of_own(
      features[:, 1],
      query,
      temperature,
      None if texts is None else (texts[:, 1], texts[:, 0]),
    )
    own = (own + back) / 2
  return {**found, "loss": float(own.mean())}


def _flat(x: np.ndarray) -> np.ndarray:
  """Returns [b s ...] as [s * b ...]: the first of all, the second of all."""
  return np.concatenate([*np.moveaxis(x, 1, 0)])


def _rows(seen: Any, names: Sequence[str]) -> list[dict[str, Any]]:
  features = seen.outputs["features"]
  cosines = np.sum(
    metrics.unit(features[:, 0]) * metrics.unit(features[:, 1]), -1
  )
  return [{"value": round(float(x), 6)} for x in cosines]
