"""`jft wise`: a run's weights mixed with those that it started from."""

import argparse
import json

HELP = "mix a run's weights with its pretrained ones"
DESCRIPTION = """\
Mix the best weights of a run with the pretrained ones that it started from
(WiSE-FT), in several shares; a head that was new stays as it was trained. The
best share on the validation data is taken, or the one that --alpha gives; the
test split is measured once, of that. The curve is in wise.png.

  jft wise runs/a --workdir=runs/a_wise

The folder is read as a run's by jft evaluate, predict and export.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Declares the command's arguments."""
  parser.add_argument("run_dir", metavar="RUN", help="a workdir")
  parser.add_argument(
    "--workdir", required=True, metavar="DIR", help="the folder to make"
  )
  parser.add_argument(
    "--points",
    type=int,
    default=11,
    metavar="N",
    help="shares to try, from 0 to 1 (default: 11)",
  )
  parser.add_argument(
    "--alpha", type=float, metavar="A", help="the share of the tuned weights"
  )


def run(
  args: argparse.Namespace, overrides: list[str], command: tuple[str, ...]
) -> int:
  """Mixes; returns the exit code."""
  from jft import soups
  from jft.cli import flags

  flags.of_run(args.run_dir)
  summary = soups.wise(
    args.run_dir,
    args.workdir,
    points=args.points,
    alpha=args.alpha,
    command=command,
  )
  print(json.dumps(summary) if args.json else _table(summary, args.workdir))
  return 0


def _table(summary: dict, out: str) -> str:
  made = summary["wise"]
  names = [name for name in made["curve"][0] if name != "alpha"]
  lines = ["alpha  " + "  ".join(names)]
  lines += [
    f"{row['alpha']:>5.3f}  "
    + "  ".join(f"{row[name]:>{len(name)}.4f}" for name in names)
    for row in made["curve"]
  ]
  metrics = (f"{k} {v:.4f}" for k, v in summary["metrics"].items())
  return "\n".join(
    [*lines, f"{out}: alpha {made['alpha']:.3f}  {'  '.join(metrics)}"]
  )
