"""`jft train`: fit from a shell."""

import argparse
import json

HELP = "train as a config says, or go on where the run stopped"
DESCRIPTION = """\
Train as a config says. The workdir gets run.json, metrics.jsonl, summary.json,
report.html, curves.png and checkpoints/; the same command again goes on where
the run stopped. Ctrl-C finishes the step, saves and stops.

Any key of the config can be given as --config.SECTION.KEY=VALUE; all keys, with
what they mean, are in configs/default.py.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Declares the command's arguments."""
  parser.add_argument(
    "--config",
    required=True,
    metavar="FILE",
    help="a recipe: a Python file, or the name of one that comes with jft",
  )
  parser.add_argument(
    "--workdir", required=True, metavar="DIR", help="where the run is kept"
  )
  parser.set_defaults(overridable=True)


def run(
  args: argparse.Namespace, overrides: list[str], command: tuple[str, ...]
) -> int:
  """Trains; returns the exit code."""
  from rich.console import Console

  from jft import config, loop
  from jft.cli import flags
  from jft.writers import to_json

  loaded = config.load(args.config, overrides)
  flags.for_config(loaded)
  summary = loop.fit(
    loaded,
    args.workdir,
    command=command,
    console=Console(stderr=True) if args.json else None,
  )
  if args.json:
    print(json.dumps(to_json(summary)))
  else:
    print(_closing(summary, args.workdir.rstrip("/")))
  return 0


def _closing(summary: dict, workdir: str) -> str:
  if summary["status"] == "interrupted":
    return (
      f"interrupted at step {summary['step']}, saved. The same command goes on"
      " from there."
    )
  metrics = "  ".join(
    f"{name} {value:.4f}" for name, value in summary["metrics"].items()
  )
  return "\n".join(
    [
      f"{summary['status']}: best step {summary['best_step']} restored,"
      " metrics computed again",
      f"  {metrics}",
      f"  report       {workdir}/report.html",
      f"  curves       {workdir}/curves.png",
      f"  checkpoints  {workdir}/checkpoints",
    ]
  )
