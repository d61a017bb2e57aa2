"""`jft inspect`: look before you train."""

import argparse
import dataclasses
import json

from jft.errors import UserError

HELP = "show a model's blocks, cost, and what a config would train"
DESCRIPTION = """\
Show what a model is made of: its blocks and parameters, its inputs, FLOPs for
one example, and, under a config, what is trained and what that saves.

  jft inspect --config=configs/quickstart.py
  jft inspect hf:sentence-transformers/all-MiniLM-L6-v2
  jft inspect resnet34.pth --arch=resnet34
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
  from jft import config
  from jft.insight import inspect
  from jft.writers import to_json

  if args.config:
    found = inspect.inspect_config(config.load(args.config, overrides))
  else:
    found = inspect.inspect_source(args.source, arch=args.arch)
  if args.json:
    print(json.dumps(to_json(dataclasses.asdict(found))))
  else:
    print(render(found, leaves=args.leaves))
  return 0


def render(found, *, leaves: bool) -> str:
  """Renders an inspection as text."""
  spec = found.spec
  lines = [
    f"{spec['source'] or 'random weights'}: {spec['preset'] or spec['family']},"
    f" {spec['params']:,} parameters, {spec['mb']} MB",
    f"  inputs   {spec['inputs']}",
    f"  classes  {spec['num_classes'] or 'none'}",
    "  tensors  "
    + ", ".join(f"{n} {status}" for status, n in found.load.items()),
    f"  forward  {_flops(found.flops)} for one example",
    "",
    f"{'part':<14} {'parameters':>12} {'trained':>9}",
  ]
  for part in found.parts:
    share = f"{100 * part.trained / part.params:.0f} %"
    lines.append(f"{part.name:<14} {part.params:>12,} {share:>9}")
    if leaves:
      lines += [
        f"  {name:<44} {' x '.join(map(str, shape))}"
        for name, shape in part.shapes.items()
      ]
  return "\n".join([*lines, *_tuning(found)])


def _tuning(found) -> list[str]:
  if not found.freeze:
    return []
  from jft.tuning import freeze

  full = found.step_flops["full"]
  lines = ["", freeze.format_table(found.freeze), ""]
  for i, phase in enumerate(found.phases):
    cost = found.step_flops[f"phase {i}"]
    lines.append(
      f"from step {phase['start_step']}: train {', '.join(phase['labels'])};"
      f" forward and backward {_flops(cost)} for one example,"
      f" {100 * cost / full:.0f} % of training everything"
    )
  return lines


def _flops(flops: float) -> str:
  for unit, size in (("TFLOP", 1e12), ("GFLOP", 1e9), ("MFLOP", 1e6)):
    if flops >= size:
      return f"{flops / size:.2f} {unit}"
  return f"{flops:.0f} FLOP"
