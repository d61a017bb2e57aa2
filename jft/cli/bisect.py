"""`jft bisect`: where two runs part."""

import argparse
import json

HELP = "find where two runs part"
DESCRIPTION = """\
Compare two runs by what they wrote down, to the bit, and name the first update
that differs (its sample ids, its loss or its gradient norm), the first state
that differs with its leaves, and how configs, inputs and environments differ.

Exit codes: 0 identical, 1 different, 2 something to mend.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Declares the command's arguments."""
  parser.add_argument("run_a", metavar="RUN_A", help="the workdir of a run")
  parser.add_argument("run_b", metavar="RUN_B", help="the workdir of another")


def run(
  args: argparse.Namespace, overrides: list[str], command: tuple[str, ...]
) -> int:
  """Compares; returns the exit code."""
  from jft.proof import compare
  from jft.store.opening import read_workdir
  from jft.writers import to_json

  names = (args.run_a, args.run_b)
  with read_workdir(args.run_a) as a, read_workdir(args.run_b) as b:
    found = compare.compare(a, b, names=names)
  if args.json:
    print(json.dumps(to_json(compare.as_json(found))))
  else:
    print(compare.render(found))
  return 0 if found.identical else 1
