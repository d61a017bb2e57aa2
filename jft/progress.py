"""What a person sees while a run goes on: a bar, or lines where none can be.

On a terminal: step, speed, time left and a text of the caller's. In a file, a
batch system's log or a notebook: only the lines, each with speed and time left.
"""

import dataclasses
import datetime
import time
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from jft import hosts
from jft.typing import Callable

_REDRAWS_PER_SEC = 4


def progress(
  total_steps: int,
  examples_per_step: int = 0,
  *,
  console: Console | None = None,
  clock: Callable[[], float] = time.monotonic,
) -> "Bar":
  """Returns a context manager that shows how far a run is.

  Args:
    total_steps: where the run ends.
    examples_per_step: the global batch size; 0 shows steps/s instead.
    console: where to (default: standard output, of the primary process).
    clock: returns seconds.

  >>> with progress(10, console=Console(width=40)) as bar:
  ...   bar.update(5)
  ...   bar.line("half of it")
  half of it
  """
  # Notebooks get plain text, though their stdout claims to be a terminal.
  console = console or Console(
    quiet=not hosts.is_primary(),
    force_jupyter=False,
    force_terminal=False if Console().is_jupyter else None,
  )
  unit = "examples" if examples_per_step else "steps"
  speed = Speed(total_steps, examples_per_step or 1, unit, clock)
  return Bar(console, speed, animated=console.is_interactive)


class Bar:
  """The bar or the lines; see `progress`."""

  def __init__(self, console: Console, speed: "Speed", animated: bool):
    self._console = console
    self._speed = speed
    self._progress = _rich(console, speed) if animated else None
    self._task: Any = None
    if self._progress:
      self._task = self._progress.add_task("", total=speed.total_steps, text="")

  def __enter__(self) -> Self:
    if self._progress:
      self._progress.start()
    return self

  def __exit__(self, *exception: Any) -> None:
    if self._progress:
      self._progress.stop()

  def update(self, step: int, text: str | None = None) -> None:
    """Says where the run is; cheap, nothing is drawn here.

    Args:
      step: completed updates; going back is fine.
      text: shown after the numbers, such as "loss 0.41"; None keeps the last.
    """
    self._speed = self._speed.at(step)
    if self._progress:
      fields: dict[str, Any] = {} if text is None else {"text": text}
      shown = self._speed.describe()
      self._progress.update(
        self._task, completed=step, description=shown, **fields
      )

  def line(self, text: str) -> None:
    """Prints a line, above the bar where there is one."""
    speed = self._speed.describe()
    if not self._progress and speed:
      text = f"{text}  ({speed})"
    # Names of files and classes are no markup, and a log has no width.
    self._console.print(
      text, markup=False, highlight=False, emoji=False, soft_wrap=True
    )


@dataclasses.dataclass(frozen=True)
class Speed:
  """How fast a run goes, over the latest half minute or so.

  Attributes:
    total_steps: where the run ends.
    per_step: units in a step.
    unit: "examples" or "steps".
    clock: returns seconds.
    marks: (secs, step) pairs, oldest first, at least a second apart.
    latest: the newest pair.
  """

  total_steps: int
  per_step: int
  unit: str
  clock: Callable[[], float]
  marks: tuple[tuple[float, int], ...] = ()
  latest: tuple[float, int] | None = None

  def at(self, step: int) -> "Speed":
    """Returns the speed with one more look at the clock."""
    now = self.clock()
    went_back = self.latest is not None and step < self.latest[1]
    marks = () if went_back else self.marks
    if not marks or now - marks[-1][0] >= 1:
      marks = (*marks, (now, step))[-30:]
    return dataclasses.replace(self, marks=marks, latest=(now, step))

  def describe(self) -> str:
    """Returns such as "412 examples/s, 0:01:20 left", or "" when unknown."""
    if self.latest is None or self.latest[1] <= self.marks[0][1]:
      return ""
    secs = max(self.latest[0] - self.marks[0][0], 1e-9)
    steps_per_sec = (self.latest[1] - self.marks[0][1]) / secs
    left = max(self.total_steps - self.latest[1], 0) / steps_per_sec
    rate = steps_per_sec * self.per_step
    rate = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
    left = datetime.timedelta(seconds=round(left))
    return f"{rate} {self.unit}/s, {left} left"


class _Plain(ProgressColumn):
  """One field of a task, never read as markup."""

  def __init__(self, text: Callable[[Task], str]):
    super().__init__()
    self._text = text

  def render(self, task: Task) -> Text:
    return Text(self._text(task), no_wrap=True, overflow="ellipsis")


def _rich(console: Console, speed: Speed) -> Progress:
  return Progress(
    TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
    BarColumn(bar_width=24),
    _Plain(lambda task: task.description),
    _Plain(lambda task: task.fields["text"]),
    console=console,
    refresh_per_second=_REDRAWS_PER_SEC,
    get_time=speed.clock,
  )
