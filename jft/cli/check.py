"""`jft check`: what is wrong with a run, before it is trained."""

import argparse
import dataclasses
import json

HELP = "look for mistakes in a config's data and model before training"
DESCRIPTION = """\
Look for what would make a training run vain: wrong, missing or torn labels,
inputs that training and a held-out split share (equal or nearly so),
unreadable or odd images and texts, a wrong loss at the start, parameters that
no gradient reaches, a batch that cannot be learnt by heart. Shows a few
examples as the model gets them. Nothing is written.

The exit code is 1 if there is an error; warnings leave it 0.

  jft check --config=configs/quickstart.py
  jft check --config=configs/quickstart.py --config.optim.lr=1e-3
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
    "--steps",
    type=int,
    default=100,
    metavar="N",
    help="updates on one batch at most (default: 100)",
  )
  parser.add_argument(
    "--limit",
    type=int,
    default=100_000,
    metavar="N",
    help="examples of a split to read (default: 100000)",
  )
  parser.set_defaults(overridable=True)


def run(
  args: argparse.Namespace, overrides: list[str], command: tuple[str, ...]
) -> int:
  """Checks; returns the exit code."""
  from jft import build, config, preflight
  from jft.cli import flags
  from jft.errors import UserError
  from jft.writers import to_json

  for name in ("steps", "limit"):
    if getattr(args, name) < 2:
      raise UserError(f"--{name}={getattr(args, name)} must be 2 or more.")
  loaded = config.load(args.config, overrides)
  flags.for_config(loaded)
  made = build.build(loaded)
  findings = preflight.full(made, limit=args.limit, steps=args.steps)
  wrong = any(finding.level == "error" for finding in findings)
  if args.json:
    rows = [dataclasses.asdict(finding) for finding in findings]
    print(json.dumps(to_json({"ok": not wrong, "findings": rows})))
  else:
    print(preflight.render(findings))
    print(_closing(findings))
  return int(wrong)


def _closing(findings) -> str:
  counts = {
    level: sum(f.level == level for f in findings)
    for level in ("error", "warning", "note")
  }
  told = ", ".join(
    f"{n} {level}{'s' if n > 1 else ''}" for level, n in counts.items() if n
  )
  return f"\n{told or 'nothing to mend'}"
