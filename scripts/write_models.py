"""Writes docs/models.md, and the parameter counts that `jft models` lists.

  python scripts/write_models.py [--all]

after a preset, a dialect or a comparison has changed: from jft.families and
tests/golden/verified_*.json. Counts of configs that did not change are kept;
--all traces every preset again, which takes a minute or two.
"""

import collections
import json
import pathlib
import re
import sys

from jft import families
from jft.insight import presets

ROOT = pathlib.Path(__file__).parent.parent
PAGE = ROOT / "docs" / "models.md"
RECORDS = ROOT / "jft" / "insight" / presets.RECORDS

_INTRO = """\
# Models

Written by `scripts/write_models.py` from the families in the code and from
what the tests compared; `jft models` lists the same.

Parameters are counted without a head. **Compared with** names whose code
computed the other side and its version, as the test environment had it; the
weights were drawn at random there and given to both. **Largest error** is over
everything that was compared, each array's relative to its largest value, in
float32; "–" where names, shapes and counts were compared and no values.
"""
_HEADER = (
  "preset | parameters | input | layout | compared with | what | largest error"
)


def page() -> str:
  """Returns the text of docs/models.md."""
  lines = [_INTRO]
  for family in families.FAMILIES.values():
    dialects = ", ".join(dialect.name for dialect in family.dialects)
    lines += [f"## {family.name}\n", f"Loads the weights of: {dialects}.\n"]
    lines += [*_table(family.name), ""]
  return "\n".join(lines).rstrip() + "\n"


def _table(family: str) -> list[str]:
  rows = collections.defaultdict(list)
  names = families.FAMILIES[family].presets
  for row in _verified(family):
    name = row.get("preset", row.get("config"))
    rows[name if name in names else None].append(row)
  found = [p for p in presets.presets(family) if p.family == family]
  lines = [
    _line(_HEADER.split(" | ")),
    _line(["---", "--:", "---", "---", "---", "---", "--:"]),
    *(
      _line([p.name, f"{p.params:,}", p.input, *_cells(rows[p.name])])
      for p in found
    ),
  ]
  others = collections.defaultdict(list)
  for row in rows[None]:
    others[row["config"]].append(row)
  if others:
    lines += [
      "",
      "Compared besides, in configs that are small or meet other settings:",
      "",
      _line(["config", "parameters", *_HEADER.split(" | ")[3:]]),
      _line(["---", "--:", "---", "---", "---", "--:"]),
    ]
  for name, group in sorted(others.items()):
    count = f"{group[0]['params']:,}"
    lines.append(_line([name, count, *_cells(group)]))
  return lines


def _cells(rows: list[dict]) -> list[str]:
  """Returns layout, reference, what and error, a line a comparison."""
  cells = [
    (
      row["layout"],
      # Which build of it, as in 2.13.0+cpu, is of no interest.
      re.sub(r"\+\w+", "", f"{row['reference']} {row['version']}"),
      row["what"],
      f"{row['max_error']:.0e}" if "max_error" in row else "–",
    )
    for row in rows
  ] or [("not yet", "", "", "")]
  return ["<br>".join(column) for column in zip(*cells, strict=True)]


def _line(cells: list[str]) -> str:
  return f"| {' | '.join(cells)} |"


def _verified(family: str) -> list[dict]:
  path = ROOT / "tests" / "golden" / f"verified_{family}.json"
  return json.loads(path.read_text()) if path.is_file() else []


def main() -> None:
  known = {} if "--all" in sys.argv[1:] else presets.records()
  rows = [
    f"  {json.dumps(name)}: {json.dumps(value)}"
    for name, value in presets.record(known).items()
  ]
  RECORDS.write_text("{\n" + ",\n".join(rows) + "\n}\n")
  PAGE.write_text(page(), encoding="utf-8")
  print(f"{len(rows)} presets in {RECORDS.name} and {PAGE.name}")


if __name__ == "__main__":
  main()
