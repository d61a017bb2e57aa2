"""Regression: one number an example, and the similarity of two texts."""

import functools
import types

import jax.numpy as jnp
import numpy as np

from jft import losses, metrics
from jft.errors import UserError
from jft.tasks.task import Expected, Task
from jft.typing import Any, Array, Batch, Callable, Float, Outputs, Sequence

BETTER = types.MappingProxyType(
  {
    "val/spearman": "max",
    "val/pearson": "max",
    "val/mse": "min",
    "val/mae": "min",
    "val/loss": "min",
  }
)
_POINTS = 1000
"""Examples that the picture of a report shows."""
_WORST = 10


def regression(
  *,
  target_range: tuple[float, float] | None = None,
  loss: Callable[..., Float[Array, "b"]] = losses.squared_error,
  name: str = "regression",
) -> Task:
  """One number an example: squared error or another, in float32.

  The model has one output o. Without a range o is the prediction; with one,
  lo + (hi - lo) o is, so that the model works between 0 and 1, and the loss is
  of the numbers there. The metrics are in the targets' own units: `mse`,
  `mae`, and over a whole split `pearson` and `spearman`.

  Args:
    target_range: (lo, hi), the scale of the targets.
    loss: (outputs, targets) -> Float["b"].
    name: "regression" or "similarity".

  Raises:
    UserError: if the range is none.
  """
  low, high = target_range or (0.0, 1.0)
  if not (np.isfinite([low, high]).all() and low < high):
    raise UserError(f"target_range={target_range}: expected (low, high).")
  scale = float(low), float(high) - float(low)

  def of_batch(outputs: Outputs, batch: Batch) -> Float[Array, "b"]:
    target = (batch["label"].astype(jnp.float32) - scale[0]) / scale[1]
    return loss(_output(outputs), target)

  def mse(outputs: Outputs, batch: Batch) -> Float[Array, "b"]:
    return losses.squared_error(_predicted(scale, outputs), batch["label"])

  def mae(outputs: Outputs, batch: Batch) -> Float[Array, "b"]:
    return losses.absolute_error(_predicted(scale, outputs), batch["label"])

  return Task(
    loss=of_batch,
    metrics={"mse": mse, "mae": mae},
    kept=lambda outputs: {"value": _predicted(scale, outputs)},
    summary=_summary,
    report=_report,
    rows=_rows,
    answer=lambda label, names: f"{float(label):g}",
    expected=functools.partial(_expected, loss, scale),
    name=name,
  )


def _output(outputs: Outputs) -> Float[Array, "b"]:
  return outputs["logits"][:, 0].astype(jnp.float32)


def _predicted(
  scale: tuple[float, float], outputs: Outputs
) -> Float[Array, "b"]:
  return scale[0] + scale[1] * _output(outputs)


def _summary(seen: Any) -> dict[str, float]:
  value = seen.outputs["value"]
  return {
    "pearson": metrics.pearson(seen.label, value),
    "spearman": metrics.spearman(seen.label, value),
  }


def _report(seen: Any, names: Sequence[str]) -> dict[str, Any]:
  """The targets and predictions of some examples, and the worst ones."""
  value, target = seen.outputs["value"], np.asarray(seen.label)
  n = len(value)
  shown = np.unique(np.linspace(0, n - 1, min(n, _POINTS)).astype(int))
  worst = np.argsort(-np.abs(value - target), kind="stable")[:_WORST]
  return {
    "points": {
      "target": target[shown].astype(float).tolist(),
      "predicted": value[shown].astype(float).tolist(),
    },
    "worst": [
      {
        "id": int(seen.id[i]),
        "target": float(target[i]),
        "predicted": float(value[i]),
      }
      for i in worst
    ],
  }


def _rows(seen: Any, names: Sequence[str]) -> list[dict[str, Any]]:
  return [{"value": round(float(x), 6)} for x in seen.outputs["value"]]


def _expected(
  loss: Callable[..., Any],
  scale: tuple[float, float],
  labels: np.ndarray,
  k: int,
) -> Expected:
  target = (np.asarray(labels, np.float64) - scale[0]) / scale[1]
  zero, mean = (
    float(
      np.mean(np.asarray(loss(np.full_like(target, x), target), np.float64))
    )
    for x in (0.0, target.mean())
  )
  return Expected(
    zero,
    f"an output of 0 has {zero:.3f}",
    mean,
    "always the mean",
    0.5 * max(zero, mean),
    "its targets may have had another unit or range",
  )
