"""`jft prove-resume`: killed at random, resumed, and the same to the bit."""

import argparse
import dataclasses
import json
import pathlib
import sys
import tempfile

HELP = "kill a run at random and prove that its resume is exact"
DESCRIPTION = """\
Run a config once in one go, and again in processes that are killed (SIGKILL)
at random moments and started anew. Compare the bits of every update, state and
evaluation, and the hash of the best model.

Exit codes: 0 proven, 1 different, 2 something to mend.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Declares the command's arguments."""
  parser.add_argument(
    "--config", required=True, metavar="FILE", help="a recipe, as for train"
  )
  parser.add_argument(
    "--kills", type=int, default=3, metavar="N", help="how many (default: 3)"
  )
  parser.add_argument(
    "--seed", type=int, default=0, help="of the moments (default: 0)"
  )
  parser.add_argument(
    "--workdir", metavar="DIR", help="keep the runs here (default: do not)"
  )
  parser.set_defaults(overridable=True)


def run(
  args: argparse.Namespace, overrides: list[str], command: tuple[str, ...]
) -> int:
  """Proves; returns the exit code."""
  from jft import config
  from jft.proof import compare, kills
  from jft.writers import to_json

  config.load(args.config, overrides)  # A mistake is told before any run.
  arguments = [f"--config={args.config}"]
  arguments += [f"--config.{text}" for text in overrides]
  with tempfile.TemporaryDirectory(prefix="jft_prove_") as temporary:
    proof = kills.prove(
      arguments,
      pathlib.Path(args.workdir or temporary),
      kills=args.kills,
      seed=args.seed,
      say=lambda line: print(line, file=sys.stderr, flush=True),
    )
  if args.json:
    comparisons = [compare.as_json(found) for found in proof.comparisons]
    values = {**dataclasses.asdict(proof), "comparisons": comparisons}
    print(json.dumps(to_json({"holds": proof.holds, **values})))
  else:
    print(_text(proof))
  return 0 if proof.holds else 1


def _text(proof) -> str:
  from jft.proof import compare

  saving = sum(kill.saving for kill in proof.kills)
  lines = [
    f"run {number}: {compare.render(found)}"
    for number, found in enumerate(proof.comparisons, 1)
  ]
  verdict = "proven" if proof.holds else "NOT proven"
  model = "the same" if proof.same_model else "NOT the same"
  return "\n".join(
    [
      *lines,
      f"{verdict}: {len(proof.kills)} kills ({saving} while saving) in"
      f" {len(lines)} runs; {model} best model, sha256 {proof.sha256}",
    ]
  )
