"""`jft COMMAND`: parses, runs, and turns errors into one clear line."""

import argparse
import importlib.metadata
import io
import sys
from collections.abc import Sequence

from jft.errors import UserError
from jft.redact import redact

_DESCRIPTION = "Fine-tune pretrained JAX/Flax models with pure functions."
_EPILOG = """\
examples:
  jft train --config=configs/quickstart.py --workdir=runs/quickstart
  jft train --config=quickstart --workdir=runs/a --config.optim.lr=3e-3
  jft evaluate --workdir=runs/quickstart
  jft predict --workdir=runs/quickstart digit.png
  jft export runs/quickstart --to=stablehlo
  jft models 'resnet*'
  jft inspect --config=configs/quickstart.py
  jft check --config=configs/quickstart.py
  jft augment --config=quickstart --config.augment.mixup=0.2
  jft replay runs/quickstart
  jft soup runs/a runs/b runs/c --workdir=runs/soup
  jft wise runs/a --workdir=runs/a_wise

`jft COMMAND --help` tells more of each. Exit codes: 0 done, 1 the run failed
(diverged, not reproduced, different) or a check found an error, 2 something to
mend in the command or its input, 130 interrupted twice.
"""


def main(argv: Sequence[str] | None = None) -> int:
  """Runs one command; returns its exit code."""
  argv = list(sys.argv[1:] if argv is None else argv)
  if isinstance(sys.stdout, io.TextIOWrapper):
    # A file name that is no UTF-8 is printed as it can be.
    sys.stdout.reconfigure(errors="backslashreplace")
  args, overrides = parse(argv)
  try:
    return args.run(args, overrides, ("jft", *argv))
  except (UserError, OSError) as error:
    print(f"jft: error: {redact(str(error))}", file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    print("jft: interrupted", file=sys.stderr)
    return 130
  except RuntimeError as error:
    if type(error).__module__.partition(".")[0] != "jft":
      raise
    print(f"jft: failed: {redact(str(error))}", file=sys.stderr)
    return 1


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
  """Returns the arguments of a command, and its "section.key=value"s.

  Raises:
    SystemExit: after the help or the version, or for a usage error (2).
  """
  parser, commands = _parser()
  args, rest = parser.parse_known_args(argv)
  if args.command is None:
    args.run = lambda *_: parser.print_help() or 0
    return args, []
  return args, [_override(commands[args.command], text) for text in rest]


def _parser():
  parser = argparse.ArgumentParser(
    prog="jft",
    description=_DESCRIPTION,
    epilog=_EPILOG,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  parser.add_argument(
    "--version",
    action="version",
    version=f"jft {importlib.metadata.version('jft')}",
  )
  subparsers = parser.add_subparsers(
    dest="command", metavar="COMMAND", title="commands"
  )
  commands = {}
  for module in _modules():
    name = module.__name__.rpartition(".")[2].replace("_", "-")
    commands[name] = subparsers.add_parser(
      name,
      help=module.HELP,
      description=module.DESCRIPTION,
      formatter_class=argparse.RawDescriptionHelpFormatter,
      allow_abbrev=False,
    )
    module.add_arguments(commands[name])
    commands[name].add_argument(
      "--json", action="store_true", help="print one JSON object, nothing else"
    )
    commands[name].set_defaults(run=module.run)
  return parser, commands


def _modules():
  """Returns the commands, in the order of the help."""
  # Imported here, not above: their imports are light, jax comes later.
  from jft.cli import (
    augment,
    bisect,
    check,
    evaluate,
    export,
    inspect,
    models,
    predict,
    prove_resume,
    replay,
    soup,
    train,
    wise,
  )

  running = (train, evaluate, predict, export, inspect, models, check, augment)
  return (*running, replay, prove_resume, bisect, soup, wise)


def _override(parser: argparse.ArgumentParser, text: str) -> str:
  """Takes "--config.a.b=c" for "a.b=c"; anything else is a usage error."""
  if not (text.startswith("--config.") and parser.get_default("overridable")):
    parser.error(f"unknown argument {text!r}")
  return text.removeprefix("--config.")


if __name__ == "__main__":
  sys.exit(main())
