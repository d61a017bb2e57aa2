"""`jft predict`: files in, a label and its probability out."""

import argparse
import csv
import io
import json
import pathlib
import sys
from typing import Any

HELP = "predict files with a run's best checkpoint"
# With the wide forms, which Excel takes for the same in some languages.
_FORMULAS = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")
DESCRIPTION = """\
Predict files with a run's best checkpoint. An image model reads images; a text
model reads .txt (one text a line), .csv, .tsv and .jsonl (the text column of
the run's config). Each input gets its label, that label's probability and the
probabilities of all classes.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Declares the command's arguments."""
  parser.add_argument(
    "files", nargs="+", metavar="FILE", help="what to predict"
  )
  parser.add_argument(
    "--workdir", required=True, metavar="DIR", help="of a run"
  )
  parser.add_argument(
    "--output",
    metavar="OUT",
    help="write here instead of to the terminal: .jsonl or .csv",
  )
  parser.add_argument(
    "--on-error",
    choices=("error", "skip"),
    default="error",
    help="unreadable images: stop, or name them and go on (default: error)",
  )


def run(
  args: argparse.Namespace, overrides: list[str], command: tuple[str, ...]
) -> int:
  """Predicts; returns the exit code."""
  from jft import atomic, predictions
  from jft.cli import flags
  from jft.errors import UserError
  from jft.store.opening import read_workdir
  from jft.writers import to_json

  suffix = pathlib.Path(args.output).suffix if args.output else ""
  if suffix not in ("", ".jsonl", ".csv"):
    raise UserError(
      f"--output={args.output}: the suffix must be .jsonl or .csv."
    )
  if args.output and not pathlib.Path(args.output).parent.is_dir():
    raise UserError(f"--output={args.output}: there is no such folder.")
  with read_workdir(args.workdir) as workdir:
    flags.of_run(workdir)
    rows, skipped = predictions.predict_files(
      workdir, args.files, on_error=args.on_error
    )
  for name, reason in skipped:
    print(f"skipped {name}: {reason}", file=sys.stderr)
  if args.output:
    text = _csv(rows) if suffix == ".csv" else _jsonl(rows)
    # A file name that is no UTF-8 is written as it can be; JSON reads it back.
    atomic.write_bytes(args.output, text.encode(errors="backslashreplace"))
  if args.json:
    names = [name for name, _ in skipped]
    print(json.dumps(to_json({"predictions": rows, "skipped": names})))
  elif args.output:
    print(f"{len(rows)} predictions in {args.output}")
  else:
    print("\n".join(_line(row) for row in rows))
  return 0


def _line(row: dict[str, Any]) -> str:
  return f"{row['input']}\t{row['label']}\t{row['probability']:.4f}"


def _jsonl(rows: list[dict[str, Any]]) -> str:
  return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _csv(rows: list[dict[str, Any]]) -> str:
  out = io.StringIO()
  # All texts are quoted: where a spreadsheet splits at ";", the rest of an
  # unquoted text after one would be a cell of its own, and so a formula.
  writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC)
  names = map(_harmless, rows[0]["probabilities"] if rows else [])
  writer.writerow(["input", "label", "probability", *names])
  for row in rows:
    writer.writerow(
      [
        _harmless(row["input"]),
        _harmless(row["label"]),
        row["probability"],
        *row["probabilities"].values(),
      ]
    )
  return out.getvalue()


def _harmless(text: str) -> str:
  """Keeps a spreadsheet from running a text that begins like a formula."""
  return f"'{text}" if text.startswith(_FORMULAS) else text
