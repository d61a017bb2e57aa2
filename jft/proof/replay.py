"""A run done again from its own `run.json`, and compared to the bit."""

import contextlib
import pathlib
import tempfile

from jft import config as configs
from jft import loop, redact, trace, workdir
from jft.errors import UserError
from jft.proof.compare import Comparison, compare
from jft.typing import Any


def replay(
  run: str | pathlib.Path,
  *,
  steps: int | None = None,
  folder: str | pathlib.Path | None = None,
  console: Any = None,
) -> Comparison:
  """Runs a run again and compares every digest.

  Args:
    run: its workdir; nothing in it is changed.
    steps: how many updates (default: all that the run has made).
    folder: the new run's workdir, which is kept (default: none is).
    console: a rich Console for the progress.

  Raises:
    UserError: if there is no run, its config held a secret that was not
      written down, or model or data are gone.
  """
  run = pathlib.Path(run)
  config = _config(run)
  made = max(trace.read(run).updates, default=0)
  if not made:
    raise UserError(
      f"{run} has made no update yet: there is nothing to replay."
    )
  if steps is not None and steps < 1:
    raise UserError(f"--steps={steps} must be at least 1.")
  until = min(steps or made, made)
  with tempfile.TemporaryDirectory(prefix="jft_replay_") as temporary:
    target = pathlib.Path(folder or pathlib.Path(temporary) / "replay")
    # A replay may diverge as the run did; if not as it did, the digests tell.
    with contextlib.suppress(loop.Diverged):
      loop.fit(config, target, until=until, console=console)
    return compare(run, target, upto=until, names=("run", "replay"))


def _config(run: pathlib.Path) -> Any:
  config = configs.from_dict(workdir.saved_facts(run)["config"])
  hidden = [
    name
    for name, value in configs.flatten(config).items()
    if isinstance(value, str) and redact.HIDDEN in value
  ]
  if hidden:
    raise UserError(
      f"{run / 'run.json'}: {hidden[0]} held a secret, which was not written"
      " down, so the run cannot be built again from it. Give secrets by the"
      " environment."
    )
  return config
