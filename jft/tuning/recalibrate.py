"""BatchNorm's running statistics, computed anew from batches.

What an average of many parameters, or parameters that moved fast, would see is
not what the running averages of the training hold.
"""

import jax
import jax.numpy as jnp

from jft.errors import UserError
from jft.tasks import model_inputs
from jft.tuning import frozen_norm
from jft.typing import ApplyFn, Batch, Callable, Iterable, Variables

COLLECTION = "batch_stats"

Measure = Callable[[Variables, Batch], Variables]


def make_measure(apply: ApplyFn) -> Measure:
  """Returns (variables, batch) -> the statistics of that batch, compiled.

  Every BatchNorm normalises by the batch, whatever is frozen; dropout is off.

  Args:
    apply: as in `Net`.
  """

  def measure(variables: Variables, batch: Batch) -> Variables:
    with frozen_norm.batch_statistics():
      _, found = apply(
        variables, model_inputs(batch), train=False, mutable=[COLLECTION]
      )
    return found[COLLECTION]

  return jax.jit(measure)


def recalibrate(
  measure: Measure, variables: Variables, batches: Iterable[Batch]
) -> Variables:
  """Returns the variables with the mean of the batches' statistics.

  Args:
    measure: as `make_measure` returns.
    variables: params and collections, "batch_stats" among them.
    batches: of training examples, each of which counts the same.

  Raises:
    UserError: if there is no BatchNorm, or no batch.

  Source: torch.optim.swa_utils.update_bn, without its dropout: the statistics
  are for inference, which has none.
  """
  check(variables)
  mean = None
  for number, batch in enumerate(batches, 1):
    found = measure(variables, batch)
    mean = found if mean is None else _add(mean, found, number)
  if mean is None:
    raise UserError("no batch to recalibrate BatchNorm with.")
  return {**variables, COLLECTION: mean}


def check(variables: Variables) -> None:
  """Raises UserError for a model without BatchNorm."""
  if not jax.tree.leaves(variables.get(COLLECTION, {})):
    raise UserError(
      "the model has no BatchNorm statistics (its variables are"
      f" {', '.join(sorted(variables))}): there is nothing to decide about"
      " them; leave tune.batch_norm='auto'."
    )


@jax.jit
def _add(mean: Variables, found: Variables, number: int) -> Variables:
  return jax.tree.map(
    lambda a, b: a + (b - a) / jnp.asarray(number, a.dtype), mean, found
  )
