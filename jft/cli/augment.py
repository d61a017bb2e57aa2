"""`jft augment`: what the model sees of the training examples."""

import argparse
import json
import pathlib

HELP = "show training examples as the model sees them"
DESCRIPTION = """\
Show what augmentation makes of real training examples: of images a sheet, a row
an example, the first column untouched, each with the label that it is trained
on; of texts a line before and a line after. Nothing is trained.

  jft augment --config=configs/hymenoptera_resnet50.py \\
    --config.augment.images="('rand_augment',)" --config.augment.cutmix=1.0
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
    "--output",
    default="augment.png",
    metavar="PNG",
    help="where the sheet is written (default: augment.png)",
  )
  parser.add_argument(
    "--rows", type=int, default=5, metavar="N", help="examples (default: 5)"
  )
  parser.add_argument(
    "--columns",
    type=int,
    default=6,
    metavar="N",
    help="how often an image is drawn anew (default: 6)",
  )
  parser.set_defaults(overridable=True)


def run(
  args: argparse.Namespace, overrides: list[str], command: tuple[str, ...]
) -> int:
  """Draws the sheet or prints the lines; returns the exit code."""
  from jft import augmented, build, config
  from jft.cli import flags
  from jft.errors import UserError

  for name in ("rows", "columns"):
    if not 1 <= getattr(args, name) <= 50:
      raise UserError(f"--{name}={getattr(args, name)} must be from 1 to 50.")
  output = pathlib.Path(args.output)
  if output.suffix != ".png" or not output.absolute().parent.is_dir():
    raise UserError(f"--output={output}: a .png in a folder that is there.")
  loaded = config.load(args.config, overrides)
  flags.for_config(loaded)
  made = build.build(loaded)
  augmented.refuse_none(made, loaded)
  if made.net.spec.kind == "text":
    lines = augmented.lines(made, args.rows)
    print(json.dumps({"lines": lines}) if args.json else "\n".join(lines))
    return 0
  rows = augmented.pictures(made, args.rows, args.columns)
  _write(output, rows)
  labels = [[picture.label for picture in row] for row in rows]
  if args.json:
    print(json.dumps({"output": str(output), "labels": labels}))
  else:
    print(f"{len(rows)} examples in {output}, the first column untouched")
  return 0


def _write(output: pathlib.Path, rows) -> None:
  from jft import atomic, contact_sheet, pictures

  atomic.write_bytes(str(output), pictures.png(contact_sheet.draw(rows)))
