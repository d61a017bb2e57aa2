"""Exact evaluation: every example once, summed on the host in float64.

Each example's numbers come back by themselves and are added in the order of
the examples, so padding, batch size and device count cannot shift a mean.
"""

import dataclasses
import functools

import jax
import numpy as np
from jax.sharding import Mesh

from jft import tasks
from jft.errors import UserError
from jft.parallel import data_mesh, replicate, shard_batch
from jft.state import HasVariables
from jft.step import make_eval_step
from jft.tasks import Task
from jft.typing import Any, ApplyFn, Batch, Callable, Iterable, Variables


@dataclasses.dataclass(frozen=True)
class Predictions:
  """What evaluation saw, one row an example, in the source's order.

  Attributes:
    id: Int["n"] index in the source.
    label: Int["n"], None where the batches have none.
    logits: Float["n k"].
    values: {"loss": Float["n"], metric: Float["n"]}.
  """

  id: np.ndarray
  label: np.ndarray | None
  logits: np.ndarray
  values: dict[str, np.ndarray]

  @property
  def means(self) -> dict[str, float]:
    """The mean of every metric over all examples."""
    return {
      name: float(np.mean(rows, dtype=np.float64))
      for name, rows in self.values.items()
    }


_CLASSIFICATION = tasks.classification()


def evaluate(
  net: Any,
  state: HasVariables,
  batches: Iterable[Batch],
  task: Task = _CLASSIFICATION,
) -> dict[str, float]:
  """Returns the mean loss and metrics over all examples.

  Compiled once for each (net, task) and shape of batch.

  Args:
    net: whose `apply` to run.
    state: whose variables to run it with, a `TrainState` or the net itself.
    batches: every example once, as `data.eval_batches` makes them.
    task: loss and metrics.

  Raises:
    UserError: if the batches hold no example.
  """
  step = functools.partial(_step, net.apply, task)
  return predict(step, state.variables, batches).means


@functools.partial(jax.jit, static_argnums=(0, 1))
def _step(apply: ApplyFn, task: Task, variables: Variables, batch: Batch):
  return make_eval_step(apply, task)(variables, batch)


def predict(
  step: Callable[..., dict[str, jax.Array]],
  variables: Variables,
  batches: Iterable[Batch],
) -> Predictions:
  """Runs a compiled eval step over all batches.

  Args:
    step: `jax.jit(make_eval_step(apply, task))`, or of
      `make_predict_step(apply)` for batches without labels.
    variables: params and collections.
    batches: every example once; `mask` is 0 on padding.

  Raises:
    UserError: if the batches hold no example.
  """
  mesh = data_mesh(jax.local_devices())
  variables = replicate(variables, mesh)
  pending = []
  for batch in batches:
    # Results stay on the device until all batches are under way.
    pending.append((batch, step(variables, _place(batch, mesh))))
  rows = [_real_rows(batch, jax.device_get(out)) for batch, out in pending]
  if not rows or not sum(len(row["id"]) for row in rows):
    raise UserError("evaluation got no example: the split is empty.")
  joined = {name: np.concatenate([r[name] for r in rows]) for name in rows[0]}
  order = np.argsort(joined["id"], kind="stable")
  joined = {name: x[order] for name, x in joined.items()}
  return Predictions(
    joined.pop("id"), joined.pop("label", None), joined.pop("logits"), joined
  )


def _place(batch: Batch, mesh: Mesh) -> Batch:
  """Cuts a batch over the devices; one that does not divide stays whole."""
  devices = mesh.devices.size
  if devices == 1 or len(batch["mask"]) % devices:
    return batch
  return shard_batch(batch, mesh)


def _real_rows(batch: Batch, out: dict[str, np.ndarray]) -> dict:
  keep = np.asarray(batch["mask"]) > 0
  rows = {name: batch[name] for name in ("id", "label") if name in batch}
  rows |= out
  return {name: np.asarray(x)[keep] for name, x in rows.items()}
