"""`jft evaluate`: a run's best checkpoint on a split."""

import argparse
import json

HELP = "evaluate a run's best checkpoint"
DESCRIPTION = """\
Restore a run's best checkpoint and evaluate it, every example once: the
metrics, and of classes precision, recall and F1 of each.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Declares the command's arguments."""
  parser.add_argument(
    "--workdir", required=True, metavar="DIR", help="of a run"
  )
  parser.add_argument(
    "--split",
    choices=("val", "test"),
    help="default: test where the run has one, else val",
  )


def run(
  args: argparse.Namespace, overrides: list[str], command: tuple[str, ...]
) -> int:
  """Evaluates; returns the exit code."""
  from jft.store.opening import read_workdir

  with read_workdir(args.workdir) as workdir:
    return _evaluate(workdir, args)


def _evaluate(workdir, args: argparse.Namespace) -> int:
  from jft import evaluation, restored
  from jft.cli import flags
  from jft.errors import UserError
  from jft.writers import to_json

  flags.of_run(workdir)
  _, found, state = restored.best(workdir)
  split = args.split or list(found.evals)[-1]
  if split not in found.evals:
    raise UserError(
      f"the run has no split {split!r}, only {', '.join(found.evals)}."
    )
  seen = evaluation.predict(
    found.eval_step, state.eval_variables, found.evals[split]
  )
  result = {
    "split": split,
    "step": int(state.step),
    "examples": len(seen.id),
    "metrics": evaluation.measure(found.task, seen),
    **found.task.report(seen, found.label_names),
  }
  print(json.dumps(to_json(result)) if args.json else _table(result))
  return 0


def _table(result: dict) -> str:
  lines = [
    f"{result['split']}: {result['examples']} examples, step {result['step']}",
    *(f"  {name} {value:.4f}" for name, value in result["metrics"].items()),
  ]
  if "macro_f1" in result:
    lines.append(f"  macro F1 {result['macro_f1']:.4f}")
  if "classes" not in result:
    return "\n".join(lines)
  width = max(len(row["name"]) for row in result["classes"])
  lines.append(f"{'class':<{width}}  precision  recall     F1  support")
  lines += [
    f"{row['name']:<{width}}  {row['precision']:>9.4f}  {row['recall']:>6.4f}"
    f" {row['f1']:>6.4f}  {row['support']:>7}"
    for row in result["classes"]
  ]
  return "\n".join(lines)
