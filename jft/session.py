"""A run and everything it writes to, opened together and closed together."""

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Iterator

from jft import interrupt, lock
from jft.build import Run
from jft.checkpoint import Checkpointer
from jft.disk.reporting import user_errors
from jft.progress import progress
from jft.redact import redact
from jft.trace import TraceWriter
from jft.typing import Any, Callable
from jft.workdir import begin
from jft.writers import MetricsWriter


@dataclasses.dataclass(frozen=True)
class Session:
  """A run and the things it writes to.

  Attributes:
    run: the run.
    workdir: its folder.
    checkpointer, writer, trace, bar: where states, metrics, digests and lines
      for people go.
    stop: set once a signal asked for the end.
    until: the step this process goes up to.
    started: `time.monotonic()` at the start of the process's work.
    push: has what is complete copied to where else the run is kept.
  """

  run: Run
  workdir: pathlib.Path
  checkpointer: Checkpointer
  writer: MetricsWriter
  trace: TraceWriter
  bar: Any
  stop: interrupt.Interrupt
  until: int
  started: float
  push: Callable[[], None]

  @property
  def elapsed_secs(self) -> float:
    """What this process has taken so far."""
    return time.monotonic() - self.started


@contextlib.contextmanager
def session(
  run: Run,
  config: Any,
  workdir: pathlib.Path,
  *,
  command: tuple[str, ...],
  console: Any,
  until: int | None,
  started: float,
  push: Callable[[], None] = lambda: None,
) -> Iterator[Session]:
  """Opens a run's folder for writing, for this process alone.

  Raises:
    UserError: if the folder is another run's or in use, or the disk fails.
  """
  with contextlib.ExitStack() as stack:
    stack.enter_context(user_errors("write the run", workdir))
    workdir.mkdir(parents=True, exist_ok=True)
    stack.enter_context(lock.held(workdir))
    changed = begin(workdir, config, run.facts, command)
    opened = Session(
      run,
      workdir,
      stack.enter_context(checkpointer(config, workdir)),
      stack.enter_context(
        MetricsWriter(workdir, tensorboard=config.log.tensorboard)
      ),
      stack.enter_context(TraceWriter(workdir)),
      stack.enter_context(
        progress(run.total_steps, run.batch_size, console=console)
      ),
      stack.enter_context(interrupt.graceful()),
      min(run.total_steps, until or run.total_steps),
      started,
      push,
    )
    for line in run.describe():
      opened.bar.line(redact(line))
    for line in changed:
      opened.bar.line(f"changed since the last process: {line}")
    yield opened


def checkpointer(
  config: Any, workdir: pathlib.Path, *, read_only: bool = False
) -> Checkpointer:
  """Opens a run's checkpoints."""
  return Checkpointer(
    workdir / "checkpoints",
    keep_last=config.checkpoint.keep_last,
    keep_best=config.checkpoint.keep_best,
    best=config.stop.metric,
    mode=config.stop.mode,
    read_only=read_only,
  )
