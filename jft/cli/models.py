"""`jft models`: every architecture that has a name."""

import argparse
import dataclasses
import json

HELP = "list the architectures, their size, input and layouts"
DESCRIPTION = """\
List the architectures that have a name: parameters without a head, the input
that they are used with, and whose weights they load from.

  jft models
  jft models 'resnet*'
  jft models bert --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Declares the command's arguments."""
  parser.add_argument(
    "pattern",
    nargs="?",
    default="*",
    metavar="PATTERN",
    help="a part of a name, a family, or a pattern with * and ?",
  )


def run(
  args: argparse.Namespace, overrides: list[str], command: tuple[str, ...]
) -> int:
  """Lists; returns the exit code."""
  from jft.insight import presets, shown

  found = presets.presets(args.pattern)
  if args.json:
    rows = [dataclasses.asdict(preset) for preset in found]
    print(json.dumps({"models": rows}))
  else:
    shown.show(shown.presets_table(found))
  return 0
