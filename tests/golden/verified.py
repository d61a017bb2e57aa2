"""What was compared with which original: verified_<family>.json.

`docs/models.md` is written from these files. They are written where the
comparison runs, by a make script or, with JFT_WRITE_GOLDEN=1, by a live parity
test; never by hand. No JAX and no torch here: NumPy alone.
"""

import json
import math
import os
import pathlib
import re

import numpy as np

FOLDER = pathlib.Path(__file__).parent
KEYS = (
  "preset",
  "config",
  "layout",
  "reference",
  "version",
  "params",
  "max_error",
  "what",
)


def row(
  *,
  layout,
  reference,
  version,
  what,
  params,
  max_error=None,
  preset=None,
  config=None,
):
  """Returns one comparison.

  Args:
    layout: the dialect's name, such as "torchvision".
    reference: whose code computed the other side, such as "torchvision".
    version: of it, with torch's where that computes: "0.28.0, torch 2.13.0".
    what: what was compared, in a few words: "logits, blocks, gradients" or
      "names and shapes".
    params: parameters of the reference's model, counted there.
    max_error: the largest error relative to its array's largest value, None
      where no values were compared.
    preset: a name in jft's PRESETS, or
    config: what a model that is no preset is called in the tests.
  """
  if (preset is None) == (config is None):
    raise ValueError("give a preset or a config, and not both")
  if max_error is not None and not math.isfinite(max_error):
    raise ValueError(f"max_error={max_error}")
  found = {
    "preset": preset,
    "config": config,
    "layout": layout,
    "reference": reference,
    "version": re.sub(r"\+\w+", "", version),  # not which build: 2.13.0+cpu
    "params": int(params),
    # Two digits: the rest is the machine's.
    "max_error": None if max_error is None else float(f"{max_error:.1e}"),
    "what": what,
  }
  return {key: found[key] for key in KEYS if found[key] is not None}


def record(path, rows):
  """Writes rows into a file; those of the same comparison are replaced.

  Args:
    path: tests/golden/verified_<family>.json, or the family's name.
    rows: what `row` returned.
  """
  path = _path(path)
  kept = {_identity(r): r for r in read(path)}
  kept |= {_identity(r): r for r in rows}
  lines = [json.dumps(kept[key]) for key in sorted(kept)]
  path.write_text("[\n  " + ",\n  ".join(lines) + "\n]\n")


def read(path):
  """Returns a file's rows, none if there is no file yet."""
  path = _path(path)
  return json.loads(path.read_text()) if path.is_file() else []


def confirm(path, rows):
  """In a live test: records with JFT_WRITE_GOLDEN=1, else looks them up.

  What was compared must be on record with the same parameter count; errors and
  versions may differ from machine to machine.
  """
  if "JFT_WRITE_GOLDEN" in os.environ:
    record(path, rows)
  known = {_identity(r): r["params"] for r in read(path)}
  assert {_identity(r): r["params"] for r in rows}.items() <= known.items()


def max_error(got, want, floor=0.0):
  """Returns the largest error of {name: array}, each relative to its largest.

  Args:
    got, want: records with the same names and shapes.
    floor: the least value that an error is relative to.
  """
  assert got.keys() == want.keys()
  return max(_error(got[name], want[name], floor) for name in want)


def _error(got, want, floor):
  got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
  assert got.shape == want.shape
  error = np.abs(got - want).max() / max(np.abs(want).max(), floor)
  return float(error)


def _path(path):
  if isinstance(path, str) and not path.endswith(".json"):
    return FOLDER / f"verified_{path}.json"
  return pathlib.Path(path)


def _identity(row):
  keys = ("preset", "config", "layout", "reference", "what")
  return tuple(str(row.get(key, "")) for key in keys)
