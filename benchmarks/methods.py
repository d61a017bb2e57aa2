"""Methods of fine-tuning on real tasks: accuracy, size, time and memory.

  python benchmarks/methods.py digits        # 11 methods x 3 seeds, 10 minutes
  python benchmarks/methods.py sst2          # MiniLM; an hour on two cores
  python benchmarks/methods.py hymenoptera   # ResNet-50
  python benchmarks/methods.py digits --costs  # FLOPs, memory, time alone
  python scripts/write_methods.py            # writes docs/methods.md

Each run is `jft train` in a fresh process and workdir, each method with the
same data, updates and seeds; the config lines are those of the files in
benchmarks/methods/, the learning rate is the task's for the method's kind:
small trained parts take a higher one, a head alone the highest. A method that a
model has no place for (IA3 in a ResNet) is left out. Costs are the compiled
step's own counts, against full fine-tuning's; step times are medians of
alternating steps. Results go to benchmarks/results/methods.json; runs there
with the same config lines are not run again (delete them to do so).
"""

import dataclasses
import itertools
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
import types
from collections.abc import Sequence
from typing import Any

import jax
import recipes

from jft import config as configs
from jft import tree
from jft.build import Run, build
from jft.cli import flags

FOLDER = pathlib.Path(__file__).parent
RESULTS = FOLDER / "results" / "methods.json"
SEEDS = 3
ROUNDS = 7
FULL = "Full fine-tuning"
NAMES = (
  "Linear probing",
  "LP-FT",
  FULL,
  "Layer-wise learning-rate decay",
  "Gradual unfreezing by steps",
  "LoRA",
  "DoRA",
  "BitFit",
  "(IA)³",
  "L2-SP",
  "Averaged weights (EMA)",
)
SMALL = ("norm_only", "bias_only")  # of tune.preset
# Of a pretrained model a new head takes a hundred times the rate of the rest.
LP_FT = (
  *("tune.preset=lp_ft", "tune.blocks=0", "tune.head_first=0.3"),
  "optim.phase_lr_scales=(100.0, 1.0)",
)
ON_CONVOLUTIONS = types.MappingProxyType(
  {
    "LoRA": ("adapter.name=lora", "adapter.targets=all"),
    "DoRA": ("adapter.name=dora", "adapter.targets=all"),
  }
)


@dataclasses.dataclass(frozen=True)
class Task:
  """A task: its recipe, what is changed in it, a rate for each kind."""

  recipe: str
  changed: tuple[str, ...]
  rates: dict[str, float]
  swapped: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
  without: tuple[str, ...] = ()
  metric: str = "test/accuracy"  # Of summary.json, or its report.


TASKS = types.MappingProxyType(
  {
    "digits": Task(
      "quickstart",
      (
        "data.train_examples=200",
        "tune.blocks=0",
        "tune.head_first=0.0",
        "optim.backbone_lr_scale=1.0",
        "stop.patience=0",
      ),
      {"full": 2e-3, "few": 1e-2, "head": 1e-2},
      dict(ON_CONVOLUTIONS),
      ("(IA)³",),
    ),
    "sst2": Task(
      "sst2_minilm",
      (
        "data.train_examples=500",
        "data.validation=",
        "data.validation_fraction=0.03",
        "data.test=csv:$JFT_DATA/sst2/dev.tsv",
        "data.max_length=32",
        "train.batch_size=16",
        "optim.warmup_steps=6",
        "train.preflight=off",
      ),
      {"full": 1e-4, "few": 2e-3, "head": 1e-2},
      {"LP-FT": LP_FT},
    ),
    "hymenoptera": Task(
      "hymenoptera_resnet50",
      ("data.image_size=96", "optim.weight_decay=0.0", "train.preflight=off"),
      {"full": 1e-4, "few": 3e-3, "head": 1e-2},
      {
        **ON_CONVOLUTIONS,
        # Its magnitudes move by the rate at every update, and are below 1.
        "DoRA": (*ON_CONVOLUTIONS["DoRA"], "optim.lr=0.001"),
        "LP-FT": LP_FT,
        # 16 blocks in 39 updates.
        "Gradual unfreezing by steps": (
          *("tune.preset=full", "tune.unfreeze=gradual"),
          *("tune.unfreeze_every_steps=7", "tune.unfreeze_blocks=6"),
        ),
      },
      ("(IA)³",),
    ),
  }
)


def known() -> dict[str, dict]:
  """Returns {method: its entry} of the files in benchmarks/methods/."""
  found = {}
  for path in sorted((FOLDER / "methods").glob("*.toml")):
    for entry in tomllib.loads(path.read_text())["method"]:
      found.setdefault(entry["name"], entry)
  return found


def overrides(task: Task, name: str, entry: dict) -> list[str]:
  """Returns the config lines of a method's runs, but for the seed."""
  lines = task.swapped.get(name, tuple(entry["config"]))
  if any(line.startswith("adapter.name=") for line in lines):
    lines = ("tune.preset=full", *lines)
  return lines_of(task, lines)


def lines_of(task: Task, lines: Sequence[str], share: float = 1.0) -> list[str]:
  """Returns a task's lines, with a share of its rate for what is trained."""
  return [*task.changed, f"optim.lr={share * task.rates[kind(lines)]}", *lines]


def kind(lines: Sequence[str]) -> str:
  """Returns what is trained: "full", "few" (small or new parts) or "head"."""
  last = dict(line.split("=", 1) for line in lines)
  if "adapter.name" in last or last.get("tune.preset") in SMALL:
    return "few"
  return "head" if last.get("tune.preset") == "linear_probe" else "full"


def costs(task: Task, names: list[str], entries: dict) -> dict[str, dict]:
  """Returns FLOPs, memory and step time of each method, beside full's."""
  steppers, found = {}, {}
  for name in names:
    made = configs.load(task.recipe, overrides(task, name, entries[name]))
    flags.for_config(made)
    run = build(made)
    program, state, placed = compiled(run)
    found[name] = counted(run, program)
    steppers[name] = stepper(program, state, placed)
  times = {name: [] for name in names}
  for _ in range(ROUNDS):
    for name in names:
      times[name].append(steppers[name]())
  full = statistics.median(times[FULL])
  for name in names:
    found[name]["time_ratio"] = statistics.median(times[name]) / full
    found[name]["step_ms"] = 1e3 * statistics.median(times[name])
  return found


def compiled(run: Run) -> tuple[Any, Any, Any]:
  """Returns the last phase's compiled step, its state and its batch."""
  step, batch = run.steps[-1], run.splits.train.batch_at(0)
  state, placed = step.replicate(run.state), step.place(batch)
  return step.run.lower(state, placed).compile(), state, placed


def counted(run: Run, program: Any) -> dict[str, float]:
  """Returns what a compiled step says of itself."""
  memory, flops = program.memory_analysis(), program.cost_analysis()
  flops = flops[0] if isinstance(flops, list) else flops
  trained, frozen = map(tree.count, (run.state.params, run.state.frozen))
  nbytes = (
    memory.argument_size_in_bytes
    + memory.temp_size_in_bytes
    + memory.output_size_in_bytes
    - memory.alias_size_in_bytes
  )
  return {
    "trainable": trained,
    "total": trained + frozen,
    "step_gflop": flops["flops"] / 1e9,
    "memory_mb": nbytes / 2**20,
  }


def stepper(program, state, placed):
  """Returns a function that runs one step more and says its seconds."""

  def advance() -> float:
    nonlocal state
    start = time.perf_counter()
    state, metrics = program(state, placed)
    jax.block_until_ready((state, metrics))
    return time.perf_counter() - start

  advance()
  return advance


def train(recipe: str, name: str, lines: list[str], seed: int) -> dict:
  """Runs one seed of one method."""
  with tempfile.TemporaryDirectory() as folder:
    summary = jft_train(recipe, lines, seed, f"{folder}/run")
  accuracy = summary["metrics"]["test/accuracy"]
  print(f"{name}, seed {seed}: {accuracy:.4f}", flush=True)
  return {
    "seed": seed,
    "accuracy": accuracy,
    "wall_secs": summary["wall_secs"],
    "status": summary["status"],
  }


def jft_train(
  recipe: str, lines: Sequence[str], seed: int, workdir: str
) -> dict:
  """Returns the summary of a run in a process of its own."""
  command = ["train", f"--config={recipe}", f"--workdir={workdir}"]
  command += [f"--config.{line}" for line in (*lines, f"seed={seed}")]
  return jft(*command)


def jft(*command: str) -> dict:
  """Returns what a command says as JSON."""
  words = [sys.executable, "-m", "jft.cli.main", *command, "--json"]
  done = subprocess.run(words, stdout=subprocess.PIPE, check=True)
  return json.loads(done.stdout)


def write(name: str, row: dict) -> None:
  """Records what is there so far of a task."""
  found = recipes.recorded(RESULTS)
  found[name] = row
  RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def main(names: list[str], only_costs: bool) -> None:
  entries = known()
  for name in names:
    task = TASKS[name]
    before = recipes.recorded(RESULTS)
    methods = [m for m in NAMES if m not in task.without]
    row = {
      "recipe": task.recipe,
      "changed": list(task.changed),
      "rates": task.rates,
      "command": f"python benchmarks/methods.py {name}",
      "hardware": recipes.hardware(),
      "jax": jax.__version__,
      "methods": before.get(name, {}).get("methods", {}),
    }
    for method in methods:
      lines = overrides(task, method, entries[method])
      if row["methods"].get(method, {}).get("lines") != lines:
        row["methods"][method] = {"lines": lines, "runs": []}
    if only_costs or not all("costs" in row["methods"][m] for m in methods):
      for method, found in costs(task, methods, entries).items():
        row["methods"][method]["costs"] = found
      write(name, row)
    if only_costs:
      continue
    for seed, method in itertools.product(range(SEEDS), methods):
      runs, lines = (row["methods"][method][key] for key in ("runs", "lines"))
      if len(runs) == seed:
        runs.append(train(task.recipe, method, lines, seed))
        write(name, row)


if __name__ == "__main__":
  given = [name for name in sys.argv[1:] if not name.startswith("--")]
  main(given or list(TASKS), "--costs" in sys.argv)
