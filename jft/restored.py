"""A run opened again: its own config built, its best state restored."""

import pathlib

from jft import config as configs
from jft.build import Run, build
from jft.build.model import load_net
from jft.build.run import make_state
from jft.build.surgical import Choice
from jft.net import Net
from jft.session import checkpointer
from jft.state import TrainState
from jft.typing import Any
from jft.workdir import saved_facts


def best(workdir: str | pathlib.Path) -> tuple[Any, Run, TrainState]:
  """Returns a workdir's config, its run and the best state so far.

  Raises:
    UserError: if there is no run, or none of its evaluations is saved.
  """
  workdir = pathlib.Path(workdir)
  facts = saved_facts(workdir)
  config = configs.from_dict(facts["config"])
  run = build(config, choice=Choice.of(facts))
  with checkpointer(config, workdir, read_only=True) as ckpt:
    return config, run, ckpt.restore_best(run.state)


def best_model(
  workdir: str | pathlib.Path,
  *,
  fit: bool = True,
) -> tuple[Any, Net, tuple[str, ...], TrainState]:
  """Returns a workdir's config, network, class names and best state.

  Needs the run's folder and the model it started from, but none of its data.

  Args:
    workdir: of the run.
    fit: as of `build.model.load_net`.

  Raises:
    UserError: if there is no run, or none of its evaluations is saved.
  """
  workdir = pathlib.Path(workdir)
  facts = saved_facts(workdir)
  config = configs.from_dict(facts["config"])
  names = tuple(facts["model"]["label_names"])
  network = load_net(config, names, fit=fit)
  resolved = facts["resolved"]
  _, state = make_state(
    config,
    network,
    resolved["total_steps"],
    resolved["steps_per_epoch"],
    Choice.of(facts),
  )
  with checkpointer(config, workdir, read_only=True) as ckpt:
    return config, network, names, ckpt.restore_best(state)
