"""`jft replay`: a run done again, compared to the bit."""

import argparse
import json

HELP = "run a run again and compare it to the bit"
DESCRIPTION = """\
Run a run again from its own run.json, in a folder of its own, and compare the
bits of every update's loss and gradient norm, the sample ids, every leaf of
the parameters and the optimizer at every evaluation, and the evaluations.
Says `identical`, or names the first update and leaf that differ, and what is
different in the environment. Nothing in the run's folder is changed.

Exit codes: 0 identical, 1 different, 2 something to mend.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Declares the command's arguments."""
  parser.add_argument("original", metavar="RUN", help="the workdir of a run")
  parser.add_argument(
    "--steps", type=int, metavar="N", help="only the first N updates"
  )
  parser.add_argument(
    "--workdir", metavar="DIR", help="keep the replay here (default: do not)"
  )


def run(
  args: argparse.Namespace, overrides: list[str], command: tuple[str, ...]
) -> int:
  """Replays; returns the exit code."""
  from rich.console import Console

  from jft.cli import flags
  from jft.proof import compare, replay
  from jft.store.opening import read_workdir
  from jft.writers import to_json

  with read_workdir(args.original) as original:
    flags.of_run(original)
    found = replay.replay(
      original,
      steps=args.steps,
      folder=args.workdir,
      console=Console(stderr=True),
    )
  if args.json:
    print(json.dumps(to_json(compare.as_json(found))))
  else:
    print(compare.render(found))
  return 0 if found.identical else 1
