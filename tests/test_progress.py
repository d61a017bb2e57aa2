import io
import itertools
import re
import time

import pytest
from rich.console import Console

from jft.progress import Speed, progress


def plain():
  return Console(file=io.StringIO(), width=40)


def terminal(width=120):
  return Console(
    file=io.StringIO(),
    width=width,
    force_terminal=True,
    force_interactive=True,
    color_system=None,
  )


def drawn(console):
  text = re.sub(r"\x1b\[[?0-9]*[a-zA-Z]", "", console.file.getvalue())
  return [line for line in re.split(r"[\r\n]+", text) if line]


def ticking(*times):
  return itertools.chain(times, itertools.repeat(times[-1])).__next__


def test_without_a_terminal_only_the_lines_are_printed():
  console = plain()
  with progress(300, 8, console=console, clock=ticking(0, 1, 2)) as bar:
    bar.line("resumed at step 100")
    bar.update(100)
    bar.update(110, "loss 0.5")
    bar.update(120)
    bar.line("step 120/300  val/accuracy 0.9123")
  assert console.file.getvalue() == (
    "resumed at step 100\n"
    "step 120/300  val/accuracy 0.9123  (80 examples/s, 0:00:18 left)\n"
  )


def test_names_are_no_markup_and_long_lines_are_not_broken():
  text = "[bold]worst[/] :cat: " + "x" * 100
  for console in (plain(), terminal(60)):
    with progress(10, console=console) as bar:
      bar.update(1, "[red]loss[/red]")
      bar.line(text)
    assert text[:21] in console.file.getvalue()
  console = plain()
  progress(10, console=console).line(text)
  assert console.file.getvalue() == text + "\n"


def test_the_bar_shows_step_speed_time_left_and_text():
  console = terminal()
  clock = ticking(*range(12))
  with progress(100, 4, console=console, clock=clock) as bar:
    bar.update(0)
    bar.update(40, "[loss] 0.41")
  last = drawn(console)[-1]
  assert "step 40/100" in last
  assert "examples/s" in last
  assert "left" in last
  assert "[loss] 0.41" in last


def test_a_line_is_printed_above_the_bar():
  console = terminal()
  with progress(100, console=console) as bar:
    bar.update(50)
    bar.line("val/accuracy 0.9")
  lines = drawn(console)
  at = next(i for i, line in enumerate(lines) if "val/accuracy" in line)
  assert "step 50/100" in lines[-1]
  assert at < len(lines) - 1


def test_ten_redraws_a_second_at_the_most():
  console = terminal()
  start = time.monotonic()
  with progress(10**9, console=console) as bar:
    for step in range(3000):
      bar.update(step)
  took = time.monotonic() - start
  redraws = console.file.getvalue().count("step ")
  assert redraws <= 10 * took + 3


def test_the_speed_is_that_of_the_latest_half_minute():
  speed = Speed(1000, 8, "examples", ticking(*range(100)))
  for step in (*range(40), *range(40, 240, 5)):  # 1 step/s, then 5.
    speed = speed.at(step)
  assert speed.describe() == "40 examples/s, 0:02:33 left"


def test_going_back_forgets_the_speed():
  speed = Speed(100, 1, "steps", ticking(0, 1, 2, 3))
  assert speed.at(10).describe() == ""
  assert speed.at(10).at(20).at(5).describe() == ""


@pytest.mark.parametrize(
  ("steps_per_sec", "said"),
  [(0.5, "0.5 steps/s, 0:03:20 left"), (2500, "2,500 steps/s, 0:00:00 left")],
)
def test_speeds_are_said_in_few_digits(steps_per_sec, said):
  seconds = 2 / steps_per_sec
  speed = Speed(102, 1, "steps", ticking(0.0, seconds)).at(0).at(2)
  assert speed.describe() == said
