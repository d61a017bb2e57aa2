"""Writes docs/methods.md: every method's config line, cost and effect.

python scripts/write_methods.py            # compiles a step of each: an hour
python scripts/write_methods.py quickstart # of those counted in that recipe
python scripts/write_methods.py --no-costs # the table of tasks and texts alone

Methods are the entries of benchmarks/methods/*.toml. Costs are counted in the
compiled step (seed 0, the recipe's batch), against full fine-tuning of the same
recipe; accuracies come from benchmarks/results/methods.json, effects from
effects.json beside it. What is counted already is not compiled again.
"""

import functools
import json
import os
import pathlib
import statistics
import sys
import tempfile

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

# The counts are those of XLA's optimised program; how fast LLVM makes it is not
# looked at here.
os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"

import effects as measured  # noqa: E402
import methods  # noqa: E402
import recipes  # noqa: E402
from effect_tasks import TASKS, derive  # noqa: E402

from jft import config as configs  # noqa: E402
from jft.build import build  # noqa: E402
from jft.errors import UserError  # noqa: E402

PAGE = ROOT / "docs" / "methods.md"
COSTS = ROOT / "benchmarks" / "results" / "method_costs.json"
AGAINST = COSTS.with_name("against_torch.json")
TITLES = {
  "phase": "What is trained, when, and at which rate",
  "lora": "Low-rank adapters",
  "side": "Other small trained parts, quantised bases",
  "loss": "Losses and tasks",
  "reg": "Regularisation, averages, optimizers",
  "aug": "Augmentation",
}
METRICS = {
  "macro_f1": "mean F1 of the classes",
  "spearman": "Spearman",
  "recall_at_1": "recall at 1",
  "token_accuracy": "share of right tokens",
}
BASES = {
  "minilm": "sst2_minilm",
  "resnet50": "hymenoptera_resnet50",
  "resnet14_mnist": "quickstart",
}


def step_costs(recipe: str, lines: list[str]) -> dict[str, float]:
  """Counts the last phase's compiled step."""
  run = build(configs.load(recipe, [os.path.expandvars(x) for x in lines]))
  return methods.counted(run, methods.compiled(run)[0])


def lines_of(entry: dict) -> tuple[str, list[str], list[str]]:
  """Returns the recipe a method is counted in, its lines and full tuning's.

  A method that only its own task has is counted in that, one whose config has
  a name to be filled in with the lines that it calls `counted`.
  """
  base = entry["base"]
  if base == "none" and entry.get("task") and not entry.get("after"):
    plans = measured.plans(entry)
    mine, full = ([*plan.lines] for plan in plans)
    fits = not plans[0].before
    return TASKS[entry["task"]].recipe if fits else "none", mine, full
  recipe = "quickstart" if base == "any" else BASES.get(base, base)
  full = measured.FULL if recipe == "quickstart" else measured.FULL[:1]
  full = [*full, *entry.get("setting", ())]
  return recipe, [*full, *entry.get("counted", entry["config"])], full


def count_all(chosen: list[str]) -> None:
  """Counts every method that has not been counted with these lines.

  Args:
    chosen: recipes to count in (none: any).
  """
  found = recipes.recorded(COSTS)
  for entry in methods.known().values():
    recipe, mine, full = lines_of(entry)
    if recipe == "none" or (chosen and recipe not in chosen):
      continue
    for lines in (full, mine):
      key = " ".join([recipe, *lines])
      if key in found:
        continue
      try:
        found[key] = step_costs(recipe, lines)
      except UserError as error:
        found[key] = {"error": str(error)}
      print(key, found[key], flush=True)
      COSTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


known_of = functools.cache(measured.known)


def effect_cell(entry: dict) -> str:
  """Returns the mean accuracy with a method, and what it adds."""
  task = measured.task_of(entry)
  if task is None:
    return entry["effect"]
  known, plans = known_of(task), measured.plans(entry)
  with_it, without = (known.get(plan.key, {}) for plan in plans)
  both = [seed for seed in with_it if seed in without]
  if not both:
    return ""
  added = [with_it[seed] - without[seed] for seed in both]
  mean = statistics.mean(with_it[seed] for seed in both)
  seeds = "1 seed" if len(both) == 1 else f"{len(both)} seeds"
  metric = TASKS[task].metric.removeprefix("test/")
  where = task if metric == "accuracy" else f"{task}, {METRICS[metric]}"
  if plans[0].key == plans[1].key:
    return f"{where}: {mean:.4f}, {seeds}"
  said = [entry["note"]] if "note" in entry else []
  if "rate" in entry:
    said.append(f"at {entry['rate']:g} of LoRA's rate")
  return "; ".join(
    (
      f"{where}: {mean:.4f}, {statistics.mean(added):+.4f}"
      f" [{min(added):+.4f} to {max(added):+.4f}], {seeds}",
      *said,
    )
  )


def cost_cells(entry: dict, found: dict) -> list[str]:
  """Returns trainable share, FLOPs and memory against full fine-tuning."""
  recipe, *both = lines_of(entry)
  mine, full = (found.get(" ".join([recipe, *lines])) for lines in both)
  if not full or not mine or "error" in mine:
    return ["", "", "", ""]
  return [
    recipe,
    f"{100 * mine['trainable'] / mine['total']:.2f} %",
    f"{mine['step_gflop'] / full['step_gflop']:.2f}",
    f"{mine['memory_mb'] / full['memory_mb']:.2f}",
  ]


def table(path: pathlib.Path, found: dict) -> list[str]:
  """Returns the section of one file of methods."""
  own = methods.tomllib.loads(path.read_text())["method"]
  lines = [
    f"## {TITLES[path.stem]}",
    "",
    "| method | what it does | when | config | counted in | trainable |"
    " FLOPs | memory | effect | paper | checked against |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
  ]
  for entry in own:
    config = "<br>".join(f"`{line}`" for line in entry["config"])
    proof = entry.get("checked", "").removeprefix("tests/")
    checked = entry["reference"] + (f" (`{proof}`)" if proof else "")
    cells = [
      entry["name"],
      entry["what"],
      entry["when"],
      config,
      *cost_cells(entry, found),
      effect_cell(entry),
      entry["paper"],
      checked,
    ]
    lines.append("| " + " | ".join(cells) + " |")
  return [*lines, ""]


def effects() -> list[str]:
  """Returns the measured tasks, a table each."""
  path = methods.RESULTS
  if not path.exists():
    return []
  lines = ["## Measured", ""]
  for name, row in json.loads(path.read_text()).items():
    rates = [f"{kind} {rate:g}" for kind, rate in row["rates"].items()]
    for method, found in row["methods"].items():
      given = [x for x in found["lines"] if x.startswith("optim.lr=")]
      rates += [f"{method} {x.split('=')[1]}" for x in given[1:]]
    lines += [
      f"### {name}",
      "",
      f"`configs/{row['recipe']}.py` with"
      f" {', '.join(f'`{line}`' for line in row['changed'])}; learning rates by"
      f" kind: {', '.join(rates)}; {row['hardware']}, jax {row['jax']};"
      f" `{row['command']}`. Times are medians of alternating steps.",
      "",
      "| method | test accuracy, mean [range] | seeds | trainable parameters |"
      " step FLOPs | step time | memory |",
      "|---|---|---|---|---|---|---|",
    ]
    full = row["methods"][methods.FULL]["costs"]
    for method, found in row["methods"].items():
      cost = found["costs"]
      reached = [run["accuracy"] for run in found["runs"]]
      shown = spread(reached) if reached else "not run"
      lines.append(
        f"| {method} | {shown} | {len(reached)} | {cost['trainable']:,} |"
        f" {cost['step_gflop'] / full['step_gflop']:.2f} |"
        f" {cost['time_ratio']:.2f} |"
        f" {cost['memory_mb'] / full['memory_mb']:.2f} |"
      )
    lines.append("")
  return lines


def on_the_device() -> list[str]:
  """Returns what augmentation adds to a step, in a sentence."""
  path = COSTS.with_name("augment.json")
  if not path.exists():
    return []
  found = json.loads(path.read_text())
  return [
    "RandAugment and mixup together take"
    f" {100 * found['share_of_the_step']:.1f} % of a training step of ResNet-50"
    f" on 224 pixels ({found['hardware']}, jax {found['jax']},"
    f" `{found['command']}`).",
    "",
  ]


def against_torch() -> list[str]:
  """Returns the table of the same fine-tuning by torch and peft."""
  if not AGAINST.exists():
    return []
  found = json.loads(AGAINST.read_text())
  lines = [
    "## Against torch and peft",
    "",
    f"MiniLM on the {found['task']} task above by transformers"
    f" {found['transformers']}, torch {found['torch']} and peft"
    f" {found['peft']}, on jft's batches in jft's order, at jft's rates, with"
    " its clip and its choice of the best evaluation; heads and adapters start"
    f" as torch draws them. {found['hardware']}; `{found['command']}`.",
    "",
    "| method | jft | torch, peft | seeds | parameters trained by both |",
    "|---|---|---|---|---|",
  ]
  for name, row in found["methods"].items():
    mine, theirs = (
      [run["accuracy"] for run in row[side]] for side in ("jft", "torch")
    )
    sizes = {row["jft_trainable"], *(run["trainable"] for run in row["torch"])}
    counted = " and ".join(f"{size:,}" for size in sorted(sizes))
    lines.append(
      f"| {name} | {spread(mine)} | {spread(theirs)} | {len(theirs)} |"
      f" {counted} |"
    )
  return [*lines, ""]


def spread(values: list[float]) -> str:
  low, high = min(values), max(values)
  return f"{statistics.mean(values):.4f} [{low:.4f} to {high:.4f}]"


def main() -> None:
  if "--no-costs" not in sys.argv:
    with tempfile.TemporaryDirectory() as folder:
      derive(pathlib.Path(folder))
      count_all([name for name in sys.argv[1:] if not name.startswith("--")])
  found = recipes.recorded(COSTS)
  lines = [
    "# Methods",
    "",
    "Written by `scripts/write_methods.py`. Every method is one or a few lines"
    " of a config (`--config.LINE`) and a pure function. FLOPs and memory are"
    " those of the compiled train step (the last phase's), as a share of full"
    " fine-tuning of the same recipe with the same batch. Effects are test"
    " accuracies, or what else is named, of a small task: 200 digits"
    " (`digits`), 500 sentences of SST-2 (`sst2`), 800 text messages of which"
    " an eighth is spam (`sms`), 1,000 pairs of the STS benchmark with their"
    " similarity (`stsb`), 500 of those that say the same (`pairs`), the kinds"
    " of names in 3,394 tweets of WNUT 2017 (`entities`), 206 photographs by"
    " EfficientNet-Lite0 (`ants`), 150 updates on Shakespeare (`plays`). All is"
    " fine-tuned with the method (or by it, where it says what is trained); the"
    " difference is from full fine-tuning, or what else is named, with the same"
    " seeds (`benchmarks/effects.py`). An empty cell has not been measured yet."
    " Tests are named by their path in tests/.",
    "",
    *(methods.FOLDER / "methods" / "begin.md").read_text().splitlines(),
  ]
  paths = {p.stem: p for p in (methods.FOLDER / "methods").glob("*.toml")}
  for stem in TITLES:
    if stem in paths:
      lines += table(paths[stem], found)
  lines += on_the_device()  # Behind the augmentations.
  lines += effects() + against_torch()
  PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
  main()
