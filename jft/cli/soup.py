"""`jft soup`: several runs' weights averaged."""

import argparse
import json

HELP = "average the best weights of several runs"
DESCRIPTION = """\
Average the best weights of several runs of one recipe, which differ in rate,
augmentation or seed. Greedily, the best run first: one that makes the soup
worse on the validation data is left out. The test split is measured once, of
the soup. Runs of several seeds must share their data.split_seed.

  jft soup runs/a runs/b runs/c --workdir=runs/soup

The folder is read as a run's by jft evaluate, predict and export.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Declares the command's arguments."""
  parser.add_argument("runs", nargs="+", metavar="RUN", help="workdirs")
  parser.add_argument(
    "--workdir", required=True, metavar="DIR", help="the folder to make"
  )
  parser.add_argument(
    "--uniform", action="store_true", help="take all, whatever they do"
  )


def run(
  args: argparse.Namespace, overrides: list[str], command: tuple[str, ...]
) -> int:
  """Makes the soup; returns the exit code."""
  from jft import soups
  from jft.cli import flags

  flags.of_run(args.runs[0])
  summary = soups.soup(
    args.runs, args.workdir, uniform=args.uniform, command=command
  )
  print(json.dumps(summary) if args.json else _table(summary, args.workdir))
  return 0


def _table(summary: dict, out: str) -> str:
  rows = summary["soup"]["runs"]
  width = max(len(row["run"]) for row in rows)
  lines = [f"{'run':<{width}}   alone  soup with it"]
  lines += [
    f"{row['run']:<{width}}  {row['alone']:.4f}  {_with(row)}" for row in rows
  ]
  metrics = (f"{k} {v:.4f}" for k, v in summary["metrics"].items())
  return "\n".join([*lines, f"{out}: {'  '.join(metrics)}"])


def _with(row: dict) -> str:
  if row["with"] is None:
    return "taken"
  return f"{row['with']:.4f} {'taken' if row['kept'] else 'left out'}"
