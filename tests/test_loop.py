"""`fit` end to end: what it leaves, how it stops, goes on, and goes back."""

import contextlib
import dataclasses
import errno
import json
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from variants import some

from jft import (
  build,
  evaluation,
  finish,
  guard,
  history,
  interrupt,
  leaves,
  lock,
  loop,
  tree,
)
from jft.build import Run
from jft.build import run as build_run
from jft.cli.main import main
from jft.disk import manifest
from jft.errors import UserError
from jft.writers import MetricsWriter, read_json, read_metrics


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  with pytest.MonkeyPatch.context() as patch:
    tiny.add_preset(patch)
    # Test files of their own draw them; here they are only slow.
    tiny.draw_nothing(patch)
    patch.setattr(build, "build", built_once(build.build))
    yield tiny.write(tmp_path_factory.mktemp("weights"))


def built_once(original):
  """Equal configs share one run, and so one trace of each step."""
  runs = {}

  def build_once(config, **options):
    key = config.to_json()
    if key not in runs:
      runs[key] = original(config, **options)
    run = runs[key]
    state = jax.tree.map(jnp.copy, run.state)  # the loop donates it
    return dataclasses.replace(run, state=state)

  return build_once


@dataclasses.dataclass
class Fitted:
  """A run in its workdir, and the arrays of its checkpoints by step."""

  workdir: pathlib.Path
  summary: dict
  checkpoints: dict

  @property
  def last(self):
    return self.checkpoints[max(self.checkpoints)]

  @property
  def rows(self):
    return read_metrics(self.workdir)

  @property
  def numbers(self):
    """The numbers of every line, without those of the clock."""
    clock = {"time", "train/examples_per_sec"}
    return [
      {k: v for k, v in row.items() if k not in clock}
      for row in self.rows
      if "event" not in row
    ]

  def events(self, name):
    return [row for row in self.rows if row.get("event") == name]


def fit(config, workdir, *steps):
  """Fits, and restores the checkpoints of these steps and the last."""
  states, original = {}, finish.finish

  def finish_and_restore(session, state, *args):
    summary = original(session, state, *args)
    for step in {*steps, session.checkpointer.latest_step}:
      restored = session.checkpointer.restore(step, state)
      states[step] = jax.device_get(leaves.plain(restored))
    return summary

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(finish, "finish", finish_and_restore)
    summary = loop.fit(config, workdir)
  return Fitted(workdir, summary, states)


@pytest.fixture(scope="module")
def straight(source, tmp_path_factory):
  """Twelve steps in one go."""
  return fit(tiny.recipe(source), tmp_path_factory.mktemp("straight") / "run")


def interrupt_at(monkeypatch, step):
  """Sets the flag, once, when update `step` has been started."""
  flag = interrupt.Interrupt()
  original = loop.training_steps

  def steps(*args):
    for info in original(*args):
      if info.step == step:
        flag.set()
      yield info

  monkeypatch.setattr(
    interrupt, "graceful", lambda: contextlib.nullcontext(flag)
  )
  monkeypatch.setattr(loop, "training_steps", steps)


def count_traces(monkeypatch):
  """Returns a list that grows by one whenever a step is traced."""
  traces, original = [], build_run.make_train_step

  def counting(*args, **kwargs):
    step = original(*args, **kwargs)

    def counted(*args, **kwargs):
      traces.append(1)
      return step(*args, **kwargs)

    return counted

  monkeypatch.setattr(build_run, "make_train_step", counting)
  return traces


def poison(monkeypatch, bad):
  """Makes the batches whose number is `bad` NaN; returns the numbers read."""
  original, read = Run.train_batches, []

  def train_batches(self, start, until, offset):
    batches = original(self, start, until, offset)
    for number, batch in enumerate(batches, start + offset):
      read.append(number)
      if bad(number):
        batch = {**batch, "image": batch["image"] * np.float32("nan")}
      yield batch

  monkeypatch.setattr(Run, "train_batches", train_batches)
  return read


# --- in one go ---------------------------------------------------------------


def test_metrics_are_written_for_every_step_and_evaluation(straight):
  assert [r["step"] for r in straight.rows if "train/loss" in r] == [
    *range(1, 13)
  ]
  assert [r["step"] for r in straight.rows if "val/loss" in r] == [4, 8, 12]
  assert straight.summary["status"] == "completed"
  assert straight.summary["step"] == 12


def test_windows_of_metrics_end_at_multiples_and_evaluations(
  source, straight, tmp_path
):
  run = fit(tiny.recipe(source, "log.every_steps=5"), tmp_path / "run")
  rows = [r for r in run.numbers if "train/loss" in r]
  assert [r["step"] for r in rows] == [4, 5, 8, 10, 12]
  single = {
    r["step"]: r["train/loss"] for r in straight.numbers if "train/loss" in r
  }
  for row, steps in zip(
    rows, [(1, 2, 3, 4), (5,), (6, 7, 8), (9, 10), (11, 12)], strict=True
  ):
    mean = np.mean([single[step] for step in steps])
    assert row["train/loss"] == pytest.approx(mean, rel=1e-6)


def test_a_rerun_is_bitwise_equal(source, straight, tmp_path):
  again = fit(tiny.recipe(source), tmp_path / "run")
  assert again.numbers == straight.numbers
  assert tiny.same_bits(again.last, straight.last)


# --- phases ------------------------------------------------------------------

PHASED = ("tune.head_first=0.5", "eval.every_steps=3", "checkpoint.keep_last=9")


@pytest.fixture(scope="module")
def phased(source, tmp_path_factory):
  """The head alone up to step 6; counts how often a step is traced."""
  with pytest.MonkeyPatch.context() as patch:
    traces = count_traces(patch)
    run = fit(
      tiny.recipe(source, *PHASED),
      tmp_path_factory.mktemp("phased") / "run",
      *(0, 6),
    )
  return run, traces


def test_each_phase_is_traced_once(phased):
  assert len(phased[1]) == 2


def moved(run, a, b):
  """The leaves that differ between the checkpoints of two steps."""
  old, new = run.checkpoints[a], run.checkpoints[b]
  assert old.keys() == new.keys()
  return {
    name
    for name in old
    if np.asarray(old[name]).tobytes() != np.asarray(new[name]).tobytes()
  }


def test_in_the_first_phase_only_the_head_moves(phased):
  run = phased[0]
  first = moved(run, 0, 6)
  assert {n for n in first if n.startswith(("params/", "model_state/"))} == {
    "params/head/bias",
    "params/head/kernel",
  }
  assert not any("backbone" in name for name in first)
  second = moved(run, 6, 12)
  trained = {n for n in run.last if n.startswith("params/")}
  assert trained <= second
  statistics = {n for n in second if n.startswith("model_state/")}
  assert statistics
  assert all("/block_01/" in name for name in statistics)


def test_the_phase_is_told_when_it_begins(phased):
  rows = phased[0].rows
  (event,) = phased[0].events("phase")
  assert (event["step"], event["trained"]) == (6, "backbone, head")
  at = rows.index(event)
  assert [row["step"] for row in rows[:at] if "val/loss" in row] == [3, 6]
  rates = {r["step"]: r["lr/backbone"] for r in rows if "lr/backbone" in r}
  assert [step for step, rate in rates.items() if rate == 0] == [*range(1, 7)]
  assert rates[7] == pytest.approx(0.02)  # its schedule begins with it


GRADUAL = (
  *("tune.preset=full", "tune.blocks=0", "tune.unfreeze=gradual"),
  *("eval.every_steps=2", "checkpoint.keep_last=9", "train.preflight=off"),
  *("optim.schedule=linear", "optim.layer_decay=0.5"),
)
BY_STEPS = (*GRADUAL, "tune.unfreeze_every_steps=4")
# So low a rate that no answer changes: the second evaluation is a plateau.
BY_PLATEAU = (*GRADUAL, "tune.unfreeze_patience=1", "optim.lr=1e-7")
THAWS = {BY_STEPS: [4, 8], BY_PLATEAU: [4, 6]}


@pytest.fixture(
  scope="module",
  params=[BY_PLATEAU, pytest.param(BY_STEPS, marks=pytest.mark.full)],
  ids=["plateau", "steps"],
)
def thawing(source, tmp_path_factory, request):
  """Head, then the upper block, then all; counts how often a step is traced."""
  with pytest.MonkeyPatch.context() as patch:
    traces = count_traces(patch)
    workdir = tmp_path_factory.mktemp("thawing") / "run"
    run = fit(tiny.recipe(source, *request.param), workdir, 0, *range(2, 12, 2))
  return run, request.param, traces


@pytest.mark.slow
def test_blocks_thaw_from_the_top_down_with_one_trace_a_phase(thawing):
  run, overrides, traces = thawing
  starts = THAWS[overrides]
  assert len(traces) == 3
  assert [row["step"] for row in run.events("phase")] == starts
  parts = [{"head"}, {"block_01"}, {"block_00", "stem"}]
  for step in range(0, 12, 2):
    names = moved(run, step, step + 2)
    params = {n.split("/")[1] for n in names if n.startswith("params/")}
    phases = 1 + sum(start <= step for start in starts)
    assert params == set().union(*parts[:phases])
    # Moments of what is frozen rest, and its statistics too.
    rest = [n for n in names if "opt_state" in n or "model_state" in n]
    for part in set().union(*parts[phases:]):
      assert not any(part in name for name in rest)
  assert {len(arrays) for arrays in run.checkpoints.values()} == {len(run.last)}


@pytest.mark.slow
@pytest.mark.parametrize("step", some([5, 6], 5))
def test_resume_between_thaws(source, thawing, tmp_path, monkeypatch, step):
  run, overrides, _ = thawing
  config = tiny.recipe(source, *overrides)
  with monkeypatch.context() as patch:
    interrupt_at(patch, step)
    assert fit(config, tmp_path).summary["step"] == step
  resumed = fit(config, tmp_path)
  assert tiny.same_bits(resumed.last, run.last)
  assert resumed.numbers == run.numbers
  assert [row["step"] for row in resumed.events("phase")] == THAWS[overrides]


@pytest.mark.slow
def test_a_roll_back_keeps_the_thaws_that_led_to_its_state(
  source, tmp_path, monkeypatch
):
  poison(monkeypatch, lambda number: number == 5)
  run = fit(tiny.recipe(source, *BY_PLATEAU), tmp_path)
  assert run.summary["incidents"][0]["rolled_back_to"] == 4
  assert [row["step"] for row in run.events("phase")] == [4, 4, 6]
  assert run.last["attempt"] == 1


@pytest.mark.slow
def test_early_stopping_waits_for_the_last_phase(source, tmp_path):
  run = fit(tiny.recipe(source, *BY_PLATEAU, "stop.patience=1"), tmp_path)
  # The best is at 2; 4 and 6 thaw, and 8 is the first that may end the run.
  assert (run.summary["status"], run.summary["step"]) == ("early_stopped", 8)


@pytest.mark.full
def test_a_plateau_too_late_for_the_warm_up_thaws_nothing(source, tmp_path):
  late = ("eval.every_steps=5", "optim.warmup_steps=3")
  run = fit(tiny.recipe(source, *BY_PLATEAU, *late), tmp_path)
  assert (run.summary["status"], run.events("phase")) == ("completed", [])


# --- interrupted and resumed -------------------------------------------------


def test_a_resumed_run_is_bitwise_the_straight_one(
  source, straight, tmp_path, monkeypatch
):
  with monkeypatch.context() as patch:
    interrupt_at(patch, 5)
    first = fit(tiny.recipe(source), tmp_path)
  assert first.summary["status"] == "interrupted"
  assert first.summary["step"] == 5
  assert first.summary["metrics"] == {}
  second = fit(tiny.recipe(source), tmp_path)
  assert second.summary["status"] == "completed"
  assert tiny.same_bits(second.last, straight.last)
  assert second.numbers == straight.numbers
  assert second.summary["metrics"] == straight.summary["metrics"]
  assert [row["step"] for row in second.events("resumed")] == [5]


@pytest.mark.parametrize("step", some([2, 7], 7))
def test_resume_inside_a_phase(source, phased, tmp_path, monkeypatch, step):
  config = tiny.recipe(source, *PHASED)
  with monkeypatch.context() as patch:
    interrupt_at(patch, step)
    assert fit(config, tmp_path).summary["step"] == step
  resumed = fit(config, tmp_path)
  assert tiny.same_bits(resumed.last, phased[0].last)
  assert resumed.numbers == phased[0].numbers
  assert len(resumed.events("phase")) == 1
  assert len(phased[1]) == 2  # a restored state is of no new type


def test_an_interrupt_at_an_evaluation_evaluates(source, tmp_path, monkeypatch):
  interrupt_at(monkeypatch, 4)
  run = fit(tiny.recipe(source), tmp_path)
  assert (run.summary["status"], run.summary["best_step"]) == ("interrupted", 4)
  assert [r["step"] for r in run.rows if "val/loss" in r] == [4]


def test_an_interrupt_in_the_last_step_is_a_completed_run(
  source, tmp_path, monkeypatch
):
  interrupt_at(monkeypatch, 12)
  assert fit(tiny.recipe(source), tmp_path).summary["status"] == "completed"


def test_a_finished_run_is_only_measured_again(source, straight):
  again = loop.fit(tiny.recipe(source), straight.workdir)
  assert again["metrics"] == straight.summary["metrics"]
  assert (again["status"], again["step"]) == ("completed", 12)


RECIPE = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import pytest, tiny
from jft import loop

def get_config():
  tiny.add_preset(pytest.MonkeyPatch())
  original = loop.training_steps
  def steps(*args):
    for info in original(*args):
      if info.step == 5:
        os.kill(os.getpid(), signal.SIGINT)
      yield info
  loop.training_steps = steps
  return tiny.recipe({source!r}).unlock()
"""


@pytest.mark.slow
def test_a_real_ctrl_c_saves_and_the_same_command_goes_on(
  source, straight, tmp_path
):
  recipe = tmp_path / "recipe.py"
  tests = str(pathlib.Path(__file__).parent)
  recipe.write_text(RECIPE.format(tests=tests, source=str(source)))
  done = subprocess.run(
    [
      *(sys.executable, "-m", "jft.cli.main", "train"),
      *(f"--config={recipe}", f"--workdir={tmp_path / 'run'}"),
    ],
    capture_output=True,
    text=True,
    timeout=120,
    check=False,
  )
  assert (done.returncode, done.stderr) == (0, "")
  assert done.stdout.endswith(
    "interrupted at step 5, saved. The same command goes on from there.\n"
  )
  assert read_json(tmp_path / "run" / "summary.json")["status"] == "interrupted"
  resumed = fit(tiny.recipe(source), tmp_path / "run")
  assert tiny.same_bits(resumed.last, straight.last)
  assert resumed.numbers == straight.numbers


# --- early stopping ----------------------------------------------------------


def script(monkeypatch, accuracies):
  """The n-th state that is evaluated gets the n-th accuracy, always."""
  original, seen = evaluation.predict, []

  def predict(step, variables, batches):
    found = original(step, variables, batches)
    head = np.asarray(variables["params"]["head"]["kernel"]).tobytes()
    if head not in seen:
      seen.append(head)
    found.values["accuracy"][:] = accuracies[seen.index(head)]
    return found

  monkeypatch.setattr(evaluation, "predict", predict)


def test_early_stopping_at_the_literal_step(source, tmp_path, monkeypatch):
  script(monkeypatch, [0.5, 0.75, 0.625, 0.75, 0.875])
  more = ("train.steps=24", "stop.patience=2", "train.preflight=off")
  config = tiny.recipe(source, *more)
  run = fit(config, tmp_path)
  assert run.summary["status"] == "early_stopped"
  assert (run.summary["step"], run.summary["best_step"]) == (16, 8)
  # Of the best, not of the last state: each keeps its own accuracy.
  assert run.summary["metrics"]["val/accuracy"] == 0.75
  assert run.summary["metrics"]["test/accuracy"] == 0.75
  (event,) = run.events("early_stop")
  assert (event["step"], event["best_step"]) == (16, 8)
  kept = {path.name for path in (tmp_path / "checkpoints").glob("[0-9]*")}
  assert kept == {"8", "12", "16"}  # the best and the last two
  again = loop.fit(config, tmp_path)
  assert (again["status"], again["step"]) == ("early_stopped", 16)


def test_patience_outlives_an_interrupt(source, tmp_path, monkeypatch):
  """The best value, its step and how long ago it was are in the checkpoint."""
  script(monkeypatch, [0.5, 0.75, 0.625, 0.75, 0.875])
  more = ("train.steps=24", "stop.patience=2", "train.preflight=off")
  config = tiny.recipe(source, *more)
  with monkeypatch.context() as patch:
    interrupt_at(patch, 13)
    assert fit(config, tmp_path).summary["step"] == 13
  run = fit(config, tmp_path)
  assert run.summary["status"] == "early_stopped"
  assert (run.summary["step"], run.summary["best_step"]) == (16, 8)


def test_several_processes_are_refused(source, tmp_path, monkeypatch):
  monkeypatch.setattr(jax, "process_count", lambda: 2)
  with pytest.raises(UserError, match="fit runs in one process"):
    loop.fit(tiny.recipe(source), tmp_path)


# --- divergence --------------------------------------------------------------


def test_a_nan_batch_rolls_back_cuts_the_rate_and_is_skipped(
  source, straight, tmp_path, monkeypatch
):
  read = poison(monkeypatch, lambda number: number == 5)
  run = fit(tiny.recipe(source), tmp_path)
  assert run.summary["status"] == "completed"
  (incident,) = run.summary["incidents"]
  assert read_json(tmp_path / "summary.json") == run.summary
  assert 2 < incident.pop("median") < 3
  ids = incident.pop("ids")
  assert (
    ids
    == build.build(tiny.recipe(source)).splits.train.batch_at(5)["id"].tolist()
  )
  assert incident == {
    "step": 6,
    "reason": "not finite",
    "loss": "NaN",
    "grad_norm": "NaN",
    # The image itself is NaN: every gradient is, and this name comes first.
    "leaf": "gradient of params/block_01/conv1/kernel",
    "rolled_back_to": 4,
    "batches_skipped": [4, 6],
    "action": "skipped 2 batches, learning rate x 0.5",
  }
  (event,) = run.events("rollback")
  assert (event["step"], event["attempt"], event["rolled_back_to"]) == (6, 0, 4)
  assert read_json(tmp_path / "run.json")["incidents"] == [
    {**incident, "ids": ids, "median": event["median"]}
  ]
  assert read == [*range(8), *range(6, 14)]  # updates 5 to 12 read on from 6
  last = run.last
  assert (last["step"], last["attempt"], last["lr_scale"]) == (12, 1, 0.5)
  assert all(
    np.isfinite(np.asarray(x, np.float64)).all()
    for n, x in last.items()
    if n.startswith("params")
  )
  rates = {
    (r["attempt"], r["step"]): r["lr/head"] for r in run.rows if "lr/head" in r
  }
  assert rates[1, 5] == rates[0, 5] / 2
  # Up to the roll-back nothing differs from a run without the bad batch.
  assert run.numbers[:5] == straight.numbers[:5]


def test_every_roll_back_cuts_the_rate_again(source, tmp_path, monkeypatch):
  poison(monkeypatch, lambda number: number in (5, 6))
  run = fit(tiny.recipe(source), tmp_path)
  skipped = [i["batches_skipped"] for i in run.summary["incidents"]]
  assert skipped == [[4, 6], [6, 7]]
  assert (run.last["attempt"], run.last["lr_scale"]) == (2, 0.25)


@pytest.mark.slow
def test_what_the_guard_remembers_does_not_depend_on_the_log(
  source, tmp_path, monkeypatch
):
  poison(monkeypatch, lambda number: number == 6)
  runs = [
    fit(tiny.recipe(source, f"log.every_steps={every}"), tmp_path / str(every))
    for every in (1, 5)
  ]
  assert runs[0].summary["incidents"] == runs[1].summary["incidents"]
  assert tiny.same_bits(runs[0].last, runs[1].last)


@pytest.mark.parametrize("step", some([7, 10], 10))
def test_resume_after_a_roll_back(source, tmp_path, monkeypatch, step):
  """Interrupted while the divergence is found, and well after it."""
  poison(monkeypatch, lambda number: number == 5)
  config = tiny.recipe(source)
  straight = fit(config, tmp_path / "straight")
  with monkeypatch.context() as patch:
    interrupt_at(patch, step)
    first = fit(config, tmp_path / "resumed")
  assert first.summary["status"] == "interrupted"
  assert len(first.summary["incidents"]) == 1
  second = fit(config, tmp_path / "resumed")
  assert tiny.same_bits(second.last, straight.last)
  assert second.summary["incidents"] == straight.summary["incidents"]


@pytest.mark.slow
def test_too_many_roll_backs_fail_the_run(
  source, tmp_path, monkeypatch, capsys
):
  poison(monkeypatch, lambda number: number >= 5)
  code = main(
    [
      *("train", "--config=default", f"--workdir={tmp_path}", "--json"),
      *(
        f"--config.{text}"
        for text in tiny.overrides(source, "guard.max_retries=1")
      ),
    ]
  )
  assert code == 1
  out, err = capsys.readouterr()
  assert out == ""
  assert err.splitlines()[-1] == (
    "jft: failed: diverged 2 times, the last time at step 5; lower optim.lr or"
    f" set optim.clip_norm. The incidents are in {tmp_path / 'summary.json'}."
  )
  summary = read_json(tmp_path / "summary.json")
  assert (summary["status"], len(summary["incidents"])) == ("diverged", 2)
  assert summary["incidents"][-1]["action"] == "stopped: no retry left"
  # The best there was is restored and measured, however the run ended.
  assert summary["best_step"] == 4
  assert 0 <= summary["metrics"]["val/accuracy"] <= 1
  with pytest.raises(loop.Diverged, match="diverged 2 times"):
    loop.fit(
      tiny.recipe(source, "guard.max_retries=1"), tmp_path
    )  # a scheduler that starts it again gets no further


@pytest.mark.parametrize("odd", [4, 5])
def test_a_spike_that_lasts_rolls_back_and_odd_batches_do_not(
  source, straight, tmp_path, monkeypatch, odd
):
  """The first two are before the evaluation of step 8, which saves."""
  losses = [r["train/loss"] for r in straight.rows if "train/loss" in r]
  spikes = losses[6 : 6 + odd]
  monkeypatch.setattr(guard, "_is_spike", lambda *seen: seen[2] in spikes)
  config = tiny.recipe(source)
  run = fit(config, tmp_path / "straight")
  incidents = run.summary["incidents"]
  if odd == 4:
    assert incidents == []
    assert tiny.same_bits(run.last, straight.last)
  else:
    (incident,) = incidents
    assert (incident["step"], incident["reason"]) == (7, "spike")
    assert incident["rolled_back_to"] == 4  # Not 8, which is among spikes.
    assert incident["batches_skipped"] == [4, 7]
    batch = build.build(config).splits.train.batch_at(6)
    assert incident["ids"] == batch["id"].tolist()
  with monkeypatch.context() as patch:
    interrupt_at(patch, 9)
    fit(config, tmp_path / "resumed")
  resumed = fit(config, tmp_path / "resumed")
  assert tiny.same_bits(resumed.last, run.last)
  assert resumed.summary["incidents"] == incidents


def test_without_the_guard_a_nan_batch_is_the_end_of_it(
  source, tmp_path, monkeypatch
):
  poison(monkeypatch, lambda number: number == 5)
  run = fit(tiny.recipe(source, "guard.enabled=false"), tmp_path)
  assert run.summary["incidents"] == []
  assert not np.isfinite(run.last["params/head/kernel"]).any()
  assert run.summary["best_step"] == 4


class Killed(BaseException):
  """In place of a SIGKILL: nothing catches it, nothing cleans up for it."""


@pytest.mark.slow
def test_a_kill_right_after_a_roll_back_changes_nothing(
  source, tmp_path, monkeypatch
):
  poison(monkeypatch, lambda number: number == 5)
  config = tiny.recipe(source)
  straight = fit(config, tmp_path / "straight")

  def kill(*_):
    raise Killed

  with monkeypatch.context() as patch:
    patch.setattr(history.jnp, "full_like", kill)
    with pytest.raises(Killed):
      loop.fit(config, tmp_path / "killed")
  resumed = fit(config, tmp_path / "killed")
  assert tiny.same_bits(resumed.last, straight.last)
  assert resumed.summary["incidents"] == straight.summary["incidents"]
  assert (resumed.last["attempt"], resumed.last["lr_scale"]) == (1, 0.5)


def test_parameters_that_break_behind_a_good_loss_are_not_saved(
  source, tmp_path, monkeypatch
):
  """The loss of update 4 is fine; what it leaves is looked at before a save."""
  original, broken = loop.training_steps, []

  def steps(*args):
    for info in original(*args):
      if info.step == 4 and not broken:
        broken.append(info.step)
        params = tree.map_with_names(
          lambda name, x: x * np.nan if name == "head/bias" else x,
          info.state.params,
        )
        state = dataclasses.replace(info.state, params=params)
        info = dataclasses.replace(info, state=state)
      yield info

  monkeypatch.setattr(loop, "training_steps", steps)
  run = fit(tiny.recipe(source), tmp_path)
  (incident,) = run.summary["incidents"]
  assert (incident["step"], incident["reason"], incident["leaf"]) == (
    4,
    "state not finite",
    "params/head/bias",
  )
  assert incident["rolled_back_to"] == 0
  assert len(incident["ids"]) == 16
  assert run.summary["status"] == "completed"


# --- damage and other inputs -------------------------------------------------


def test_a_damaged_checkpoint_is_told_and_the_older_one_is_used(
  source, straight, tmp_path, monkeypatch, capsys
):
  with monkeypatch.context() as patch:
    interrupt_at(patch, 9)
    fit(tiny.recipe(source), tmp_path)
  for path in (tmp_path / "checkpoints" / "9").rglob("d/*"):
    path.write_bytes(path.read_bytes()[:-1])
  run = fit(tiny.recipe(source), tmp_path)
  (event,) = run.events("resumed")
  assert event["step"] == 8
  assert len(event["lost"]) == 1
  assert event["lost"][0].startswith("checkpoint 9 is damaged: ")
  assert "checkpoint 9 is damaged" in " ".join(capsys.readouterr().out.split())
  assert tiny.same_bits(run.last, straight.last)


def test_other_data_are_refused_with_the_difference(
  source, tmp_path, monkeypatch
):
  with monkeypatch.context() as patch:
    interrupt_at(patch, 5)
    fit(tiny.recipe(source), tmp_path)
  before = (tmp_path / "run.json").read_bytes()
  patched = json.loads(before)
  patched["data"]["train"]["sha256"] = 64 * "0"
  (tmp_path / "run.json").write_text(json.dumps(patched))
  with pytest.raises(UserError, match=r"data\.train\.sha256: 000000000000 -> "):
    loop.fit(tiny.recipe(source), tmp_path)


def test_another_machine_is_told_and_goes_on(
  source, tmp_path, monkeypatch, capsys
):
  with monkeypatch.context() as patch:
    interrupt_at(patch, 5)
    fit(tiny.recipe(source), tmp_path)
  patched = read_json(tmp_path / "run.json")
  patched["versions"]["jax"] = "0.0.1"
  (tmp_path / "run.json").write_text(json.dumps(patched))
  run = fit(tiny.recipe(source), tmp_path)
  assert run.summary["status"] == "completed"
  out = " ".join(capsys.readouterr().out.split())
  assert "changed since the last process: versions.jax: '0.0.1' -> " in out
  (resume,) = read_json(tmp_path / "run.json")["resumes"]
  assert resume["changed"]["versions.jax"][0] == "0.0.1"


def test_two_runs_in_one_folder_are_refused(source, tmp_path):
  (tmp_path / "run").mkdir()
  with (
    lock.held(tmp_path / "run"),
    pytest.raises(UserError, match="is in use by process"),
  ):
    loop.fit(tiny.recipe(source), tmp_path / "run")
  assert [p.name for p in (tmp_path / "run").iterdir()] == [".lock"]


# --- devices -----------------------------------------------------------------

PROBE = ("tune.preset=linear_probe", "tune.blocks=0")


@pytest.fixture(scope="module")
def probed(source, tmp_path_factory):
  """The head alone, on one device."""
  config = tiny.recipe(source, *PROBE)
  return fit(config, tmp_path_factory.mktemp("probed") / "run")


@pytest.mark.parametrize(
  ("mapper", "devices"),
  some([("pmap", 8), ("jit", 1), ("jit", 8)], ("pmap", 8), ("jit", 8)),
)
def test_mappers_and_device_counts_agree(
  source, probed, tmp_path, mapper, devices
):
  parallel = (f"train.parallel={mapper}", f"train.devices={devices}")
  run = fit(tiny.recipe(source, *PROBE, *parallel), tmp_path)
  for row, other in zip(probed.numbers, run.numbers, strict=True):
    assert row == pytest.approx(other, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("mapper", some(["pmap", "jit"], "pmap"))
def test_eight_devices_rerun_and_resume_to_the_bit(
  source, tmp_path, monkeypatch, mapper
):
  config = tiny.recipe(
    source, *PROBE, f"train.parallel={mapper}", "train.devices=8"
  )
  straight = fit(config, tmp_path / "straight")
  with monkeypatch.context() as patch:
    interrupt_at(patch, 7)
    fit(config, tmp_path / "again")
  again = fit(config, tmp_path / "again")
  assert tiny.same_bits(again.last, straight.last)
  assert again.numbers == straight.numbers


def test_a_resume_on_other_devices_is_told_and_agrees(
  source, probed, tmp_path, monkeypatch, capsys
):
  with monkeypatch.context() as patch:
    interrupt_at(patch, 7)
    fit(tiny.recipe(source, *PROBE), tmp_path)
  run = fit(tiny.recipe(source, *PROBE, "train.devices=8"), tmp_path)
  out = " ".join(capsys.readouterr().out.split())
  assert "changed since the last process: train.devices: 1 -> 8" in out
  for row, other in zip(probed.numbers, run.numbers, strict=True):
    assert row == pytest.approx(other, rel=1e-5, abs=1e-6)


# --- texts -------------------------------------------------------------------


@pytest.mark.slow
def test_texts_in_buckets_rerun_and_resume_to_the_bit(tmp_path, monkeypatch):
  """Batches are formed by length, dropout is on: neither has a state."""
  tiny.write_bert(tmp_path)
  rows = [
    f"{word} {'film ' * (i % 7)}{i},{word}"
    for word in ("bad", "good")
    for i in range(60)
  ]
  path = tmp_path / "texts.csv"
  path.write_text("\n".join(["text,label", *rows]))
  config = tiny.recipe(
    tmp_path,
    f"data.train=csv:{path}",
    *("data.train_examples=0", "data.validation_fraction=0.2"),
    *("tune.preset=full", "tune.blocks=0"),
  )
  straight = fit(config, tmp_path / "straight")
  with monkeypatch.context() as patch:
    interrupt_at(patch, 7)
    fit(config, tmp_path / "again")
  again = fit(config, tmp_path / "again")
  assert tiny.same_bits(again.last, straight.last)
  assert again.numbers == straight.numbers


# --- disks -------------------------------------------------------------------


def fail(*_, **__):
  raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
  ("owner", "name"),
  [(MetricsWriter, "write"), (manifest, "write"), (finish, "write_json")],
)
def test_a_full_disk_is_told(source, tmp_path, monkeypatch, owner, name):
  monkeypatch.setattr(owner, name, fail)
  with pytest.raises(UserError, match=r"no space left for .* MB free"):
    loop.fit(tiny.recipe(source), tmp_path)


def test_after_a_full_disk_the_run_goes_on(
  source, straight, tmp_path, monkeypatch
):
  with monkeypatch.context() as patch:
    patch.setattr(finish, "write_json", fail)
    with pytest.raises(UserError, match="no space left"):
      loop.fit(tiny.recipe(source), tmp_path)
  assert fit(tiny.recipe(source), tmp_path).summary["status"] == "completed"
