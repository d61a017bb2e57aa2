"""Runs the recipes of the README's table over seeds and records what came out.

  python benchmarks/recipes.py               # the quickstart's rows, 5 seeds
  python benchmarks/recipes.py sst2          # MiniLM on SST-2, 3 seeds
  python benchmarks/recipes.py stsb wnut17   # similarity, entities; 3 seeds
  python benchmarks/recipes.py shakespeare instruct  # language models
  python benchmarks/recipes.py instruct --seeds=1:3  # after an interrupt
  python benchmarks/readme.py                # writes the tables into README.md

Each run is `jft train` in a fresh process and workdir; the numbers are those of
its summary.json. What a language model writes after a prompt is `jft predict`'s
answer, of seed 0. Results go to benchmarks/results/recipes.json.
"""

import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

RESULTS = pathlib.Path(__file__).parent / "results" / "recipes.json"
SCRATCH = (
  "--config.model.pretrained=False",
  "--config.tune.preset=full",
  "--config.tune.blocks=0",
  "--config.tune.head_first=0",
)
# name -> (recipe, overrides, seeds)
ROWS = {
  "quickstart": ("quickstart", (), 5),
  "quickstart_100": ("quickstart", ("--config.data.train_examples=100",), 5),
  "quickstart_100_scratch": (
    "quickstart",
    ("--config.data.train_examples=100", *SCRATCH),
    5,
  ),
  "sst2": ("sst2_minilm", (), 3),
  "stsb": ("stsb_minilm", (), 3),
  "wnut17": ("wnut17_minilm", (), 3),
  "hymenoptera": ("hymenoptera_resnet50", (), 3),
  "flowers": ("flowers_resnet50", (), 3),
  "shakespeare": ("shakespeare_stories15m", (), 3),
  "instruct": ("instruct_smollm2", (), 3),
}
# name -> what its model is asked once it is tuned: a file's name and content.
PROMPTS = {
  "shakespeare": ("prompts.txt", "ROMEO:\n"),
  "instruct": (
    "prompts.json",
    json.dumps(
      [
        {
          "instruction": "Rewrite the sentence in the passive voice.",
          "input": "The teacher praised the students.",
        }
      ]
    ),
  ),
}
DEFAULT = ("quickstart", "quickstart_100", "quickstart_100_scratch")


def main(names: list[str], part: str) -> None:
  for name in names:
    recipe, overrides, seeds = ROWS[name]
    first, last = map(int, part.split(":")) if part else (0, seeds)
    runs = recorded()[name]["runs"][:first] if first else []
    for seed in range(first, last):
      runs.append(train(recipe, overrides, seed, PROMPTS.get(name)))
      write(name, recipe, overrides, runs)


def recorded(path: pathlib.Path = RESULTS) -> dict[str, dict]:
  """Returns the results of a file, {} before the first."""
  return json.loads(path.read_text()) if path.exists() else {}


def write(
  name: str, recipe: str, overrides: tuple[str, ...], runs: list[dict]
) -> None:
  """Records a row after each seed, so that what was run is not lost."""
  found = recorded()
  command = f"jft train --config=configs/{recipe}.py --workdir=..."
  found[name] = {
    "command": " ".join([command, *overrides]),
    "runs": runs,
    "hardware": hardware(),
  }
  RESULTS.parent.mkdir(exist_ok=True)
  RESULTS.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")


def train(
  recipe: str,
  overrides: tuple[str, ...],
  seed: int,
  prompts: tuple[str, str] | None,
) -> dict:
  with tempfile.TemporaryDirectory() as folder:
    workdir = pathlib.Path(folder) / "run"
    command = [sys.executable, "-m", "jft.cli.main", "train", "--json"]
    command += [f"--config={recipe}", f"--workdir={workdir}"]
    command += [*overrides, f"--config.seed={seed}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    summary = json.loads(done.stdout)
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    said = {}
    if prompts and seed == 0:
      said = {"sample": sample(workdir, pathlib.Path(folder), *prompts)}
  validation = [
    row for line in lines if "val/loss" in (row := json.loads(line))
  ]
  print(recipe, seed, summary["metrics"], summary["wall_secs"], flush=True)
  return {
    "seed": seed,
    "metrics": summary["metrics"],
    **({"before": summary["before"]} if summary["before"] else {}),
    **said,
    "status": summary["status"],
    "best_step": summary["best_step"],
    "wall_secs": summary["wall_secs"],
    "validation": [
      {k: v for k, v in row.items() if k == "step" or k.startswith("val/")}
      for row in validation
    ],
  }


def sample(
  workdir: pathlib.Path, folder: pathlib.Path, name: str, content: str
) -> dict:
  """Returns what the tuned model writes after a prompt."""
  path = folder / name
  path.write_text(content)
  command = [sys.executable, "-m", "jft.cli.main", "predict", "--json"]
  command += [f"--workdir={workdir}", str(path)]
  done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
  row = json.loads(done.stdout)["predictions"][0]
  return {"prompt": row["input"], "text": row["text"]}


def hardware() -> str:
  cores = len(os.sched_getaffinity(0))
  return f"{cores} cores ({platform.processor() or platform.machine()}), CPU"


if __name__ == "__main__":
  names = [word for word in sys.argv[1:] if not word.startswith("--")]
  parts = [word for word in sys.argv[1:] if word.startswith("--seeds=")]
  main(names or list(DEFAULT), "".join(parts).removeprefix("--seeds="))
