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
from jft.typing import (
  Any,
  ApplyFn,
  Batch,
  Callable,
  Iterable,
  Sequence,
  Variables,
)


@dataclasses.dataclass(frozen=True)
class Predictions:
  """What evaluation saw, one row an example, in the source's order.

  Attributes:
    id: Int["n"] index in the source.
    label: ["n"], None where the batches have none; of tokens Int["n m"], -1
      where nothing is asked.
    outputs: {name: ["n ..."]} what the task keeps, such as logits.
    values: {"loss": Float["n"], metric: Float["n"]}, none without labels.
    weight: Float["n"] how much an example counts in the means; None: 1.
    part: Int["n"], of a text in parts which one this is; None: all are whole.
    texts: UInt["n s 2"], of texts read apart: equal for equal ones; or None.
  """

  id: np.ndarray
  label: np.ndarray | None
  outputs: dict[str, np.ndarray]
  values: dict[str, np.ndarray]
  weight: np.ndarray | None = None
  part: np.ndarray | None = None
  texts: np.ndarray | None = None

  @property
  def logits(self) -> np.ndarray:
    """Float["n k"], of a task that keeps them."""
    return self.outputs["logits"]

  @property
  def means(self) -> dict[str, float]:
    """The mean of every metric over all examples."""
    return {
      name: float(np.average(rows.astype(np.float64), weights=self.weight))
      for name, rows in self.values.items()
    }


_CLASSIFICATION = tasks.classification()


def evaluate(
  net: Any,
  state: HasVariables,
  batches: Iterable[Batch],
  task: Task = _CLASSIFICATION,
) -> dict[str, float]:
  """Returns the loss and metrics over all examples.

  Compiled once for each (net, task) and shape of batch.

  Args:
    net: whose `apply` to run.
    state: whose variables to run it with: a `TrainState`, averaged where it has
      an average, or the net itself.
    batches: every example once, as `data.eval_batches` makes them.
    task: loss and metrics.

  Raises:
    UserError: if the batches hold no example.
  """
  step = functools.partial(_step, net.apply, task)
  variables = getattr(state, "eval_variables", state.variables)
  return measure(task, predict(step, variables, batches))


def measure(task: Task, seen: Predictions) -> dict[str, float]:
  """Returns the loss and all metrics: the means, and what is none."""
  return {**seen.means, **task.summary(seen)}


@functools.partial(jax.jit, static_argnums=(0, 1))
def _step(apply: ApplyFn, task: Task, variables: Variables, batch: Batch):
  return make_eval_step(apply, task)(variables, batch)


def predict(
  step: Callable[..., dict[str, Any]],
  variables: Variables,
  batches: Iterable[Batch],
) -> Predictions:
  """Runs a compiled eval step over all batches.

  Args:
    step: `jax.jit(make_eval_step(apply, task))`, or of
      `make_predict_step(apply, task)` for batches without labels.
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
  order = np.argsort(np.concatenate([row["id"] for row in rows]), kind="stable")
  joined: Any = jax.tree.map(lambda *parts: _join(parts)[order], *rows)
  return Predictions(
    joined["id"],
    joined.get("label"),
    joined["outputs"],
    joined.get("values", {}),
    joined.get("weight"),
    joined.get("part"),
    joined.get("texts"),
  )


def _join(parts: Sequence[np.ndarray]) -> np.ndarray:
  """Joins rows; those of tokens are filled up with -1 to the longest."""
  longest = max(part.shape[1] for part in parts) if parts[0].ndim == 2 else 0
  return np.concatenate(
    [
      np.pad(part, ((0, 0), (0, longest - part.shape[1])), constant_values=-1)
      if part.ndim == 2 and part.shape[1] < longest
      else part
      for part in parts
    ]
  )


def _place(batch: Batch, mesh: Mesh) -> Batch:
  """Cuts a batch over the devices; one that does not divide stays whole."""
  devices = mesh.devices.size
  if devices == 1 or len(batch["mask"]) % devices:
    return batch
  return shard_batch(batch, mesh)


def _real_rows(batch: Batch, out: dict[str, Any]) -> dict[str, Any]:
  keep = np.asarray(batch["mask"]) > 0
  names = ("id", "label", "part", "texts")
  rows = {name: batch[name] for name in names if name in batch}
  return jax.tree.map(lambda x: np.asarray(x)[keep], {**rows, **out})
