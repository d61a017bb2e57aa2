"""What every method of benchmarks/methods/ adds: accuracies on a small task.

  python benchmarks/effects.py digits   # pictures: seconds a run
  python benchmarks/effects.py sst2     # texts: a minute a run

Each entry's config lines on top of full fine-tuning of the task (of
benchmarks/methods.py), which is run with the same seeds; small trained parts
take the task's rate for them, times an entry's own `rate`. Methods of pictures
run on digits whatever model their costs are counted in. Seeds come one after
another, so what is there at any time is comparable; runs that are in the
results, or in those of methods.py, with the same lines are not run again.
Results go to benchmarks/results/effects.json: {task: {config lines: accuracies
by seed}}.
"""

import functools
import json
import os
import pathlib
import sys
import tempfile

import jax
import methods
import recipes

from jft import config as configs

RESULTS = pathlib.Path(__file__).parent / "results" / "effects.json"
TASKS = {"digits": ("any", "resnet14_mnist", "resnet50"), "sst2": ("minilm",)}
FULL = ("tune.preset=full", "tune.blocks=0", "tune.head_first=0.0")


def task_of(entry: dict) -> str | None:
  """Returns the task an entry's effect is measured on, None if on neither."""
  if "effect" in entry:
    return None
  return next(name for name, bases in TASKS.items() if entry["base"] in bases)


def lines_of(name: str, entry: dict | None) -> list[str]:
  """Returns the config lines of a task with a method, or of its base."""
  entry = entry or {}
  lines = [*FULL, *entry.get("config", ())]
  return methods.lines_of(methods.TASKS[name], lines, entry.get("rate", 1.0))


def known(name: str) -> dict[str, dict[str, float]]:
  """Returns {config lines: {seed: accuracy}} of what has been run."""
  made = recipes.recorded(RESULTS).get(name, {}).get("accuracies", {})
  rows = recipes.recorded(methods.RESULTS).get(name, {}).get("methods", {})
  for row in rows.values():
    made.setdefault(key_of(name, row["lines"]), {}).update(
      {str(run["seed"]): run["accuracy"] for run in row["runs"]}
    )
  return made


def key_of(name: str, lines: list[str]) -> str:
  """Returns what differs from a task's recipe, which names a run."""
  recipe = methods.TASKS[name].recipe
  changed = configs.diff(plain(recipe), configs.load(recipe, lines))
  return " ".join(f"{key}={new}" for key, (_, new) in sorted(changed.items()))


plain = functools.cache(configs.load)


def write(name: str, accuracies: dict) -> None:
  found = recipes.recorded(RESULTS)
  found[name] = {
    "recipe": methods.TASKS[name].recipe,
    "command": f"python benchmarks/effects.py {name}",
    "hardware": recipes.hardware(),
    "jax": jax.__version__,
    "accuracies": accuracies,
  }
  RESULTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def main(names: list[str]) -> None:
  for name in names:
    chosen = [e for e in methods.known().values() if task_of(e) == name]
    accuracies = known(name)
    for seed in range(methods.SEEDS):
      for entry in (None, *chosen):
        lines = lines_of(name, entry)
        runs = accuracies.setdefault(key_of(name, lines), {})
        if str(seed) not in runs:
          label = entry["name"] if entry else "base"
          made = methods.train(methods.TASKS[name].recipe, label, lines, seed)
          runs[str(seed)] = made["accuracy"]
          write(name, accuracies)


if __name__ == "__main__":
  # A run in a process of its own; what they compile alike is compiled once.
  with tempfile.TemporaryDirectory() as cache:
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", cache)
    main(sys.argv[1:] or list(TASKS))
