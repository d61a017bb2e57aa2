"""`jft inspect`: look before you train."""

import argparse
import dataclasses
import json

from jft.errors import UserError

HELP = "explain a model: origin, blocks, cost, memory, what is unusual"
DESCRIPTION = """\
Explain a model before it is used: what its card says, its blocks and
parameters, inputs and labels, FLOPs of an example, the memory of a batch, and
what is unusual about its values. Of a SOURCE one tensor is read at a time.
Under a config also what would be trained and what that saves.

  jft inspect jft:resnet14_mnist
  jft inspect hf:sentence-transformers/all-MiniLM-L6-v2 --batch-size=64
  jft inspect resnet34.pth --arch=resnet34 --leaves
  jft inspect --config=configs/quickstart.py
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Declares the command's arguments."""
  parser.add_argument(
    "source", nargs="?", metavar="SOURCE", help="pretrained weights"
  )
  parser.add_argument(
    "--config", metavar="FILE", help="a recipe, instead of a source"
  )
  parser.add_argument("--arch", help="the preset of a bare weights file")
  parser.add_argument(
    "--batch-size",
    type=int,
    metavar="N",
    help="examples that the memory is for (default: 32, or the config's)",
  )
  parser.add_argument(
    "--leaves", action="store_true", help="list every parameter tensor"
  )
  parser.set_defaults(overridable=True)


def run(
  args: argparse.Namespace, overrides: list[str], command: tuple[str, ...]
) -> int:
  """Inspects; returns the exit code."""
  if bool(args.source) == bool(args.config):
    raise UserError("give either a SOURCE or a --config, and not both.")
  if args.source and overrides:
    raise UserError(f"--config.{overrides[0]} needs a --config to change.")
  if args.config and args.arch:
    raise UserError(f"with a --config, say --config.model.arch={args.arch}.")
  if args.batch_size is not None and args.batch_size < 1:
    raise UserError(f"--batch-size={args.batch_size} must be at least 1.")
  from jft import config
  from jft.insight import inspect, shown
  from jft.writers import to_json

  size = args.batch_size
  if args.config:
    loaded = config.load(args.config, overrides)
    found = inspect.inspect_config(loaded, batch_size=size)
  else:
    found = inspect.inspect_source(
      args.source, arch=args.arch, batch_size=size or inspect.BATCH_SIZE
    )
  if args.json:
    print(json.dumps(to_json(dataclasses.asdict(found))))
  else:
    shown.show(shown.render(found, leaves=args.leaves))
  return 0
