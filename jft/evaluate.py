"""Exact evaluation: every example once, summed on the host in float64.

Each example's numbers come back by themselves and are added in the order of
the examples, so padding, batch size and device count cannot shift a mean.
"""

import dataclasses

import jax
import numpy as np

from jft.errors import UserError
from jft.parallel import data_mesh, replicate, shard_batch
from jft.typing import Batch, Callable, Iterable, Variables


@dataclasses.dataclass(frozen=True)
class Predictions:
  """What evaluation saw, one row an example, in the source's order.

  Attributes:
    id: Int["n"] index in the source.
    label: Int["n"].
    logits: Float["n k"].
    values: {"loss": Float["n"], metric: Float["n"]}.
  """

  id: np.ndarray
  label: np.ndarray
  logits: np.ndarray
  values: dict[str, np.ndarray]

  @property
  def means(self) -> dict[str, float]:
    """The mean of every metric over all examples."""
    return {
      name: float(np.mean(rows, dtype=np.float64))
      for name, rows in self.values.items()
    }


def predict(
  step: Callable[..., dict[str, jax.Array]],
  variables: Variables,
  batches: Iterable[Batch],
) -> Predictions:
  """Runs a compiled eval step over all batches.

  Args:
    step: `compile_eval(make_eval_step(apply, task))`.
    variables: params and collections.
    batches: every example once; `mask` is 0 on padding.

  Raises:
    UserError: if the batches hold no example.
  """
  pending = []
  for batch in batches:
    # Results stay on the device until all batches are under way.
    pending.append((batch, step(variables, batch)))
  rows = [_real_rows(batch, jax.device_get(out)) for batch, out in pending]
  if not rows or not sum(len(row["id"]) for row in rows):
    raise UserError("evaluation got no example: the split is empty.")
  joined = {name: np.concatenate([r[name] for r in rows]) for name in rows[0]}
  order = np.argsort(joined["id"], kind="stable")
  joined = {name: x[order] for name, x in joined.items()}
  return Predictions(
    joined.pop("id"), joined.pop("label"), joined.pop("logits"), joined
  )


def compile_eval(step: Callable[..., dict[str, jax.Array]]) -> Callable:
  """Compiles an eval step; batches are cut over all local devices."""
  mesh = data_mesh(jax.local_devices())
  compiled = jax.jit(step)

  def run(variables: Variables, batch: Batch) -> dict[str, jax.Array]:
    rows = len(batch["mask"])
    if len(mesh.devices.flat) > 1 and rows % mesh.devices.size == 0:
      return compiled(replicate(variables, mesh), shard_batch(batch, mesh))
    return compiled(variables, batch)

  return run


def _real_rows(batch: Batch, out: dict[str, np.ndarray]) -> dict:
  keep = np.asarray(batch["mask"]) > 0
  rows = {"id": batch["id"], "label": batch["label"], **out}
  return {name: np.asarray(x)[keep] for name, x in rows.items()}
