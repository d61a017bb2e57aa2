"""Writes the tables of README.md from what the benchmarks recorded.

python benchmarks/readme.py
"""

import json
import pathlib
import statistics

ROOT = pathlib.Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
TITLES = {
  "quickstart": "quickstart, all 1,259 or so digits",
  "quickstart_100": "quickstart, 100 digits",
  "quickstart_100_scratch": "the same from scratch, everything trained",
  "sst2": "MiniLM-L6 on SST-2 (6,920 sentences), 2 epochs",
  "stsb": "MiniLM-L6 on the STS benchmark (5,749 pairs), 1 epoch",
  "wnut17": "MiniLM-L6 on WNUT 2017 (3,394 tweets), 3 epochs",
  "hymenoptera": "ResNet-50 on ants and bees (about 206 photographs), 3 epochs",
  "flowers": "ResNet-50 on five flowers (about 3,670 pictures), 3 epochs",
  "shakespeare": "Llama of 15M parameters (stories) on Shakespeare, 1 epoch",
  "instruct": "SmolLM2-135M-Instruct on 880 or so instructions, 1 epoch",
}
METRICS = {
  "shakespeare": "test/perplexity",
  "instruct": "test/loss",
  "stsb": "test/spearman",
  "wnut17": "test/f1",
}
SAID = {
  "test/accuracy": "accuracy",
  "test/spearman": "Spearman",
  "test/f1": "span F1",
  "test/loss": "loss of the answers",
  "test/perplexity": "perplexity",
}


def main() -> None:
  recipes = json.loads((RESULTS / "recipes.json").read_text())
  lines = [
    "| what | on the test set, mean [range] | seeds | wall time | hardware |",
    "|---|---|---|---|---|",
    *(row(name, recipes[name]) for name in TITLES if name in recipes),
    "",
    "Wall times include compilation and are of a machine that did other work at"
    " the same time.",
    "",
    *commands(recipes),
    *margin(recipes),
    *sst2(recipes),
    *samples(recipes),
    *overhead(),
    *guard(),
  ]
  write("\n".join(lines))


def spread(values: list[float]) -> str:
  mean = statistics.mean(values)
  if min(values) == max(values):
    return f"{mean:.4f}"
  return f"{mean:.4f} [{min(values):.4f} to {max(values):.4f}]"


def row(name: str, found: dict) -> str:
  runs = found["runs"]
  metric = METRICS.get(name, "test/accuracy")
  reached = spread([run["metrics"][metric] for run in runs])
  if before := [run["before"][metric] for run in runs if "before" in run]:
    reached += f", before training {spread(before)}"
  secs = sorted({round(run["wall_secs"]) for run in runs})
  took = f"{secs[0]} to {secs[-1]} s" if len(secs) > 1 else f"{secs[0]} s"
  return (
    f"| {TITLES[name]} | {SAID[metric]} {reached} | {len(runs)} |"
    f" {took} | {found['hardware']} |"
  )


def commands(recipes: dict) -> list[str]:
  shown = [recipes[name]["command"] for name in TITLES if name in recipes]
  return ["Commands, in that order:", "", "```sh", *shown, "```", ""]


def margin(recipes: dict) -> list[str]:
  pair = [recipes.get("quickstart_100"), recipes.get("quickstart_100_scratch")]
  if None in pair:
    return []
  tuned, scratch = (
    [run["metrics"]["test/accuracy"] for run in found["runs"]] for found in pair
  )
  points = [100 * (a - b) for a, b in zip(tuned, scratch, strict=True)]
  return [
    "With 100 digits, fine-tuning is better than the same net from scratch by"
    f" {statistics.mean(points):.1f} points on average"
    f" ({min(points):.1f} to {max(points):.1f}, the same seed and budget"
    f" against each other, {len(points)} seeds).",
    "",
  ]


def sst2(recipes: dict) -> list[str]:
  if "sst2" not in recipes:
    return []
  runs = recipes["sst2"]["runs"]
  evaluations = zip(*(run["validation"] for run in runs), strict=True)
  shown = "; ".join(
    f"step {rows[0]['step']}: {spread([row['val/accuracy'] for row in rows])}"
    for rows in evaluations
  )
  return [
    f"SST-2's dev.tsv, {len(runs)} seeds (216 steps are an epoch): {shown}.",
    "",
  ]


def samples(recipes: dict) -> list[str]:
  """What the tuned language models write, as `jft predict` printed it."""
  lines = []
  for found in recipes.values():
    if said := found["runs"][0].get("sample"):
      recipe = found["command"].split("configs/")[1].split(".py")[0]
      text = f"{said['prompt']}\n{said['text']}".rstrip()
      lines += [f"`{recipe}`, seed 0, after the prompt's line or lines:", ""]
      lines += ["```text", text, "```", ""]
  return lines


def overhead() -> list[str]:
  path = RESULTS / "overhead.json"
  if not path.exists():
    return []
  rows = [
    f"{found['model']} {found['ratio_median']:.3f} (rounds"
    f" {found['ratio_min']:.3f} to {found['ratio_max']:.3f},"
    f" {found['jft_ms_per_step']:.1f} against"
    f" {found['plain_ms_per_step']:.1f} ms a step)"
    for found in json.loads(path.read_text()).values()
  ]
  return [
    "jft's loop against a plain JAX loop, time by time"
    f" (`python benchmarks/overhead.py`): {'; '.join(rows)}.",
    "",
  ]


def guard() -> list[str]:
  path = RESULTS / "guard.json"
  if not path.exists():
    return []
  rows = [
    f"{found['model']}: the search {100 * found['search_share']:.3f} % of a"
    f" step ({found['search_ms']:.3f} ms of {found['step_ms']:.0f}), the host's"
    f" part {100 * found['host_share']:.3f} %"
    for found in json.loads(path.read_text()).values()
  ]
  return [
    "The guard and the digests of the updates (`python benchmarks/guard.py`):"
    f" {'; '.join(rows)}.",
    "",
  ]


def write(text: str) -> None:
  path = ROOT / "README.md"
  before, _, rest = path.read_text().partition("<!-- results -->")
  _, _, after = rest.partition("<!-- /results -->")
  path.write_text(
    f"{before}<!-- results -->\n{text.rstrip()}\n<!-- /results -->{after}"
  )


if __name__ == "__main__":
  main()
