"""A run opened again: its own config built, its best state restored."""

import pathlib
from typing import Any

from jft import config as configs
from jft.build import Run, build
from jft.loop import checkpointer
from jft.state import TrainState
from jft.workdir import saved_config


def best(workdir: str | pathlib.Path) -> tuple[Any, Run, TrainState]:
  """Returns a workdir's config, its run and the best state so far.

  Raises:
    UserError: if there is no run, or none of its evaluations is saved.
  """
  workdir = pathlib.Path(workdir)
  config = configs.from_dict(saved_config(workdir))
  run = build(config)
  with checkpointer(config, workdir) as ckpt:
    return config, run, ckpt.restore_best(run.state)
