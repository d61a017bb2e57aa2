"""Config -> what happens to BatchNorm's running statistics."""

import dataclasses

from jft.build.data import Splits
from jft.net import Net
from jft.state import TrainState
from jft.tuning import recalibrate
from jft.typing import Any, Callable, Variables


def check_batch_norm(tune: Any, variables: Variables) -> None:
  """Raises UserError where a policy is asked for and there is no BatchNorm."""
  if tune.batch_norm != "auto":
    recalibrate.check(variables)


def make_recalibrate(
  tune: Any, network: Net, splits: Splits
) -> Callable[[TrainState], TrainState]:
  """Returns state -> the state that is evaluated and saved.

  Under "recalibrate" its statistics are those of the first training batches,
  under the parameters that are evaluated; else it is left as it is.

  Args:
    tune: the config's section.
    network: whose statistics they are.
    splits: whose training batches are read.

  Raises:
    UserError: where a policy is asked for and there is no BatchNorm.
  """
  check_batch_norm(tune, network.variables)
  if tune.batch_norm != "recalibrate":
    return lambda state: state
  measure = recalibrate.make_measure(network.apply)

  def recalibrated(state: TrainState) -> TrainState:
    batches = splits.train.from_step(0, tune.recalibrate_batches)
    found = recalibrate.recalibrate(measure, state.eval_variables, batches)
    made = {name: found[name] for name in state.model_state}
    return dataclasses.replace(state, model_state=made)

  return recalibrated
