"""What every method of benchmarks/methods/ adds: a metric of a small task.

  python benchmarks/effects.py            # all that is missing; hours
  python benchmarks/effects.py digits     # pictures: seconds a run
  python benchmarks/effects.py sst2 sms   # texts: a minute a run

An entry's config lines come on top of full fine-tuning of its task (see
effect_tasks.py), against the same without them, with the same seeds. Small
trained parts take the task's rate for them, times an entry's own `rate`.
Methods of pictures run on digits whatever model their costs are counted in. An
entry may say more:

  task      another task
  against   lines that it is compared with (none: full fine-tuning)
  measured  the lines that are run, where `config` has a name to be filled in
  before    a recipe and lines that are trained first; $BEFORE is its export
  after     "soup" of three runs, against their mean, or "wise" after one

Seeds come one after another, so what is there at any time is comparable; runs
that are in the results, or in those of methods.py, with the same lines are not
run again. Results go to benchmarks/results/effects.json.
"""

import dataclasses
import functools
import itertools
import json
import os
import pathlib
import statistics
import sys
import tempfile

import effect_tasks
import jax
import methods
import recipes
from effect_tasks import TASKS

from jft import config as configs

RESULTS = pathlib.Path(__file__).parent / "results" / "effects.json"
BASES = {
  **dict.fromkeys(("any", "resnet50", "resnet14_mnist"), "digits"),
  "minilm": "sst2",
}
FULL = ("tune.preset=full", "tune.blocks=0", "tune.head_first=0.0")
SOUP = 3  # Runs.


@dataclasses.dataclass(frozen=True)
class Plan:
  """What one seed of a method runs."""

  task: str
  lines: tuple[str, ...]
  before: tuple[str, ...] = ()
  after: str = ""

  @functools.cached_property
  def key(self) -> str:
    """What differs from a task's recipe, which names a run."""
    recipe = TASKS[self.task].recipe
    changed = configs.diff(plain(recipe), configs.load(recipe, self.lines))
    words = [f"{key}={new}" for key, (_, new) in sorted(changed.items())]
    words += ["BEFORE:", *self.before] if self.before else []
    return " ".join(words + ([f"AFTER: {self.after}"] if self.after else []))


def task_of(entry: dict) -> str | None:
  """Returns the task an entry's effect is measured on, None if on none."""
  return (
    None if "effect" in entry else (entry.get("task") or BASES[entry["base"]])
  )


def plans(entry: dict) -> tuple[Plan, Plan]:
  """Returns what is run with a method, and without it."""
  name = task_of(entry)
  shared = () if name == "pairs" else FULL  # which has no head
  made = [
    methods.lines_of(TASKS[name], [*shared, *lines], share)
    for lines, share in (
      (entry.get("measured", entry["config"]), entry.get("rate", 1.0)),
      (entry.get("against", ()), 1.0),
    )
  ]
  after, before = entry.get("after", ""), tuple(entry.get("before", ()))
  if after == "soup":
    made = [[*lines, "data.split_seed=0"] for lines in made]
  return tuple(
    Plan(name, tuple(lines), before if "$BEFORE" in str(lines) else (), then)
    for lines, then in zip(
      made, (after, "runs" if after == "soup" else ""), strict=True
    )
  )


def known(name: str) -> dict[str, dict[str, float]]:
  """Returns {config lines: {seed: metric}} of what has been run."""
  made = recipes.recorded(RESULTS).get(name, {}).get("metrics", {})
  rows = recipes.recorded(methods.RESULTS).get(name, {}).get("methods", {})
  for row in rows.values():
    made.setdefault(Plan(name, tuple(row["lines"])).key, {}).update(
      {str(run["seed"]): run["accuracy"] for run in row["runs"]}
    )
  return made


plain = functools.cache(configs.load)


class Kitchen:
  """Runs plans; keeps the networks that others start from.

  Args:
    folder: for what is kept.
  """

  def __init__(self, folder: pathlib.Path):
    self.folder = folder
    self.trained = functools.cache(self._trained)
    self.exported = functools.cache(self._exported)

  def measure(self, plan: Plan, seed: int) -> float:
    """Returns the task's metric after one seed of a plan."""
    task = TASKS[plan.task]
    lines = plan.lines
    if plan.before:
      made = self.exported(plan.before)
      lines = tuple(line.replace("$BEFORE", made) for line in lines)
    lines = tuple(map(os.path.expandvars, lines))
    if plan.after in ("soup", "runs"):
      seeds = range(SOUP * seed, SOUP * (seed + 1))
      runs = [self.trained(task.recipe, lines, each) for each in seeds]
      if plan.after == "runs":
        values = [value(summary, task.metric) for _, summary in runs]
        return statistics.mean(values)
      words = ["soup", *(workdir for workdir, _ in runs)]
    elif plan.after == "wise":
      words = ["wise", self.trained(task.recipe, lines, seed)[0]]
    else:
      with tempfile.TemporaryDirectory(dir=self.folder) as run:
        summary = methods.jft_train(task.recipe, lines, seed, f"{run}/run")
      return value(summary, task.metric)
    with tempfile.TemporaryDirectory(dir=self.folder) as made:
      summary = methods.jft(*words, f"--workdir={made}/made")
    return value(summary, task.metric)

  def _trained(
    self, recipe: str, lines: tuple[str, ...], seed: int
  ) -> tuple[str, dict]:
    workdir = tempfile.mkdtemp(dir=self.folder) + "/run"
    return workdir, methods.jft_train(recipe, lines, seed, workdir)

  def _exported(self, before: tuple[str, ...]) -> str:
    lines = tuple(map(os.path.expandvars, before[1:]))
    workdir, _ = self.trained(before[0], lines, 0)
    methods.jft("export", workdir, "--to=safetensors", f"--out={workdir}-out")
    return f"{workdir}-out"


def value(summary: dict, metric: str) -> float:
  """Returns a metric of a summary, or of its report."""
  found = summary["metrics"]
  return found[metric] if metric in found else summary["report"][metric]


def write(name: str, metrics: dict) -> None:
  found = recipes.recorded(RESULTS)
  found[name] = {
    "recipe": TASKS[name].recipe,
    "metric": TASKS[name].metric,
    "command": f"python benchmarks/effects.py {name}",
    "hardware": recipes.hardware(),
    "jax": jax.__version__,
    "metrics": metrics,
  }
  RESULTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def main(names: list[str], kitchen: Kitchen) -> None:
  for seed, name in itertools.product(range(methods.SEEDS), names):
    metrics = known(name)
    for entry in methods.known().values():
      for plan in plans(entry) if task_of(entry) == name else ():
        runs = metrics.setdefault(plan.key, {})
        if str(seed) not in runs:
          runs[str(seed)] = kitchen.measure(plan, seed)
          print(entry["name"], seed, runs[str(seed)], plan.key, flush=True)
          write(name, metrics)


if __name__ == "__main__":
  # A run in a process of its own; what they compile alike is compiled once.
  with tempfile.TemporaryDirectory() as scratch:
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{scratch}/compiled")
    effect_tasks.derive(pathlib.Path(scratch))
    main(sys.argv[1:] or list(TASKS), Kitchen(pathlib.Path(scratch)))
