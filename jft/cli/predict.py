"""`jft predict`: files in, an answer for each input out."""

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
the run's config, both of a pair). Of classes each input gets its label, that
label's probability and the probabilities of all; of numbers its value; of words
each its tag (a line a word in a .csv) and the spans. A language model writes
on from each prompt, by the section "generate" of the run's config or as said
here; of .json, .jsonl, .csv and .tsv it takes what the run's own data had as
prompts.

  jft predict --workdir=runs/plays prompts.txt --temperature=0.8
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
  _add_generation(parser)


def _add_generation(parser: argparse.ArgumentParser) -> None:
  group = parser.add_argument_group("language models")
  group.add_argument(
    "--max-new-tokens", type=int, metavar="N", help="written at most"
  )
  group.add_argument(
    "--temperature", type=float, metavar="T", help="0 is the likeliest token"
  )
  group.add_argument(
    "--top-k", type=int, metavar="K", help="draw among so many (0: all)"
  )
  group.add_argument(
    "--top-p", type=float, metavar="P", help="draw among this share"
  )
  group.add_argument("--seed", type=int, metavar="N", help="of the draws")


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
    names = ("max_new_tokens", "temperature", "top_k", "top_p", "seed")
    asked = {name: getattr(args, name) for name in names}
    rows, skipped = predictions.predict_files(
      workdir,
      args.files,
      on_error=args.on_error,
      generation={k: v for k, v in asked.items() if v is not None},
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
  if "label" in row:
    return f"{row['input']}\t{row['label']}\t{row['probability']:.4f}"
  if "labels" in row:
    return f"{row['input']}\t{', '.join(row['labels'])}"
  if "text" in row:
    return f"{row['input']}\t{row['text']}"
  if "tags" in row:
    found = [
      f"{span['type']}: {' '.join(row['words'][span['start'] : span['end']])}"
      for span in row["spans"]
    ]
    return f"{row['input']}\t{'; '.join(found)}"
  return f"{row['input']}\t{row['value']:.4f}"


def _jsonl(rows: list[dict[str, Any]]) -> str:
  return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _csv(rows: list[dict[str, Any]]) -> str:
  out = io.StringIO()
  # All texts are quoted: where a spreadsheet splits at ";", the rest of an
  # unquoted text after one would be a cell of its own, and so a formula.
  writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC)
  rows = [line for row in rows for line in _lines(row)]
  names = ["input", "label", "probability"]
  if rows:
    names = [_harmless(name) for name, _ in _cells(rows[0])]
  writer.writerow(names)
  for row in rows:
    cells = [cell for _, cell in _cells(row)]
    writer.writerow([_harmless(x) if isinstance(x, str) else x for x in cells])
  return out.getvalue()


def _lines(row: dict[str, Any]) -> list[dict[str, Any]]:
  """One line an input; of a sentence one line a word."""
  if "tags" not in row:
    return [row]
  return [
    {"input": row["input"], "word": word, "tag": tag, "probability": p}
    for word, tag, p in zip(
      row["words"], row["tags"], row["tag_probabilities"], strict=True
    )
  ]


def _cells(row: dict[str, Any]) -> list[tuple[str, Any]]:
  """Returns (column, cell), with a column for each class's probability."""
  plain = [
    (key, ", ".join(x) if key == "labels" else x)
    for key, x in row.items()
    if key != "probabilities"
  ]
  # No dict: a class may be called as another column is.
  return [*plain, *row.get("probabilities", {}).items()]


def _harmless(text: str) -> str:
  """Keeps a spreadsheet from running a text that begins like a formula."""
  return f"'{text}" if text.startswith(_FORMULAS) else text
