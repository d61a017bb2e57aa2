"""An inspection as a person reads it in a terminal, a file or a notebook."""

import re
import types

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from jft.insight.inspect import Inspection
from jft.insight.presets import Preset
from jft.insight.text import clean
from jft.preflight.finding import some
from jft.tuning import freeze
from jft.typing import Any, Mapping, Sequence

_WIDTH = 96
_NAMES = 12  # of labels, data sets or tags that are listed


def console() -> Console:
  """Returns a console as wide as the terminal, a file's has 96 columns."""
  made = Console(force_jupyter=False, highlight=False)
  made.width = min(made.width, 110) if made.is_terminal else _WIDTH
  return made


def show(shown: RenderableType, to: Console | None = None) -> None:
  """Prints without the spaces that rich fills lines up with.

  Args:
    shown: anything that rich prints.
    to: where to, by default `console()`.
  """
  to = to or console()
  with to.capture() as captured:
    to.print(shown)
  for line in captured.get().splitlines():
    to.file.write(f"{line.rstrip()}\n")


def render(found: Inspection, *, leaves: bool) -> RenderableType:
  """Returns an inspection as something that rich prints."""
  spec = found.spec
  title = Text(spec["preset"] or spec["family"], style="bold")
  title.append(f"  {spec['source'] or 'random weights'}", style="not bold dim")
  parts: list[tuple[str, RenderableType | None]] = [
    ("", _facts(found)),
    ("", _blocks(found, leaves)),
    (f"Memory, batch of {found.batch_size}, in MiB", _memory(found)),
    ("Unusual", _findings(found)),
    ("Training", _tuning(found)),
    ("A batch", Text(found.batch) if found.batch else None),
  ]
  shown: list[RenderableType] = [title]
  for heading, part in parts:
    if part is not None:
      lines = [Text(heading, style="bold")] if heading else []
      shown += ["", *lines, part]
  return Group(*shown)


def _grid() -> Table:
  grid = Table.grid(padding=(0, 2))
  grid.add_column(style="cyan", no_wrap=True)
  grid.add_column(overflow="fold")
  return grid


def _facts(found: Inspection) -> Table:
  spec, grid = found.spec, _grid()
  size = f"{spec['params']:,} parameters, {spec['mb']} MB"
  rows = [
    ("like", spec["like"]),
    ("size", size),
    *_origin(found),
    ("inputs", _inputs(found)),
    *_more_inputs(found),
    ("writes", f"the next of {spec['vocab_size']:,} words")
    if spec["writes"]
    else ("classes", _classes(spec["num_classes"], spec["label_names"])),
    ("forward", f"{flops(found.flops)} for one example"),
    ("tensors", _tensors(found)),
    *[
      ("dropped", f"{some(names, 3)}: {reason}")
      for reason, names in found.dropped.items()
    ],
  ]
  for name, value in rows:
    if value:
      grid.add_row(name, Text(clean(value)))
  return grid


def _origin(found: Inspection) -> list[tuple[str, str]]:
  said = found.origin
  if said is None:
    return []
  if not said.card:
    return [("card", "none beside the weights: origin and licence unknown")]
  return [
    ("trained on", _short(some(said.trained_on, _NAMES))),
    ("made from", ", ".join(said.base)),
    ("claims", said.result),
    ("licence", said.licence or f"not said in {said.card}"),
    ("language", ", ".join(said.language)),
    ("tags", some(said.tags, _NAMES)),
    ("card", f"{said.card} cannot be read: {said.problem}")
    if said.problem
    else ("", ""),
  ]


def _short(text: str) -> str:
  return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1…", text)


def _inputs(found: Inspection) -> str:
  spec = found.spec
  if spec["kind"] == "image" or not spec["max_tokens"]:
    return spec["inputs"]
  return f"at most {spec['max_tokens']} token ids, {spec['tokens']} taken here"


def _more_inputs(found: Inspection) -> list[tuple[str, str]]:
  spec = found.spec
  if spec["kind"] == "image":
    return [("resized", _resizing(spec))]
  words = f"{spec['vocab_size']:,} words" if spec["vocab_size"] else ""
  file = spec["tokenizer"] or "no file beside the weights"
  return [("tokenizer", ", ".join(filter(None, (file, words))))]


def _resizing(spec: Mapping[str, Any]) -> str:
  how, said = spec["preprocessing"], spec["preprocessing_from"]
  part = "the whole image squeezed into the square"
  if how["crop_pct"]:
    of = "of a square" if how["squeeze"] else "of the short side"
    part = f"the middle {100 * how['crop_pct']:.4g} % {of}"
  who = ", ".join(sorted({*said.values()} - {"default", "given"}))
  return f"{how['resize']}, {part}{f' (by {who})' if who else ''}"


def _classes(count: int | None, names: Sequence[str]) -> str:
  if not count:
    return "none: no head; one is added with num_classes"
  return f"{count}: {some(names, _NAMES)}" if names else f"{count}, unnamed"


def _tensors(found: Inspection) -> str:
  load = ", ".join(f"{n} {status}" for status, n in found.load.items())
  stored = ", ".join(found.spec["stored"])
  dialect = found.spec["dialect"]
  parts = [
    load,
    f"{stored} in the file" if stored else "",
    f"names and layout of {dialect}" if dialect else "",
  ]
  return "; ".join(filter(None, parts))


def _table(*columns: str) -> Table:
  table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
  for i, column in enumerate(columns):
    table.add_column(column, justify="right" if i else "left", no_wrap=not i)
  return table


def _blocks(found: Inspection, leaves: bool) -> Table:
  total = max(found.spec["params"], 1)
  table = _table("block", "parameters", "share", "")
  trained = any(part.trained for part in found.parts)
  if trained:
    table.columns[3].header = "trained"
  else:
    table.columns[3].justify = "left"
  largest = max(part.params for part in found.parts)
  for part in found.parts:
    bar = Text("▪" * max(1, round(20 * part.params / largest)), style="cyan")
    last = f"{100 * part.trained / part.params:.0f} %" if trained else bar
    share = f"{100 * part.params / total:.1f} %"
    table.add_row(part.name, f"{part.params:,}", share, last)
    for name, shape in part.shapes.items() if leaves else ():
      text = Text(f"  {name.partition('/')[2] or name}", style="dim")
      table.add_row(text, Text(" x ".join(map(str, shape)), style="dim"))
  return table


def _memory(found: Inspection) -> RenderableType:
  table = _table(
    "to", "weights", "AdamW", "activations, gradients", "in all", "FLOP/example"
  )
  for row in found.memory:
    table.add_row(
      _USES[row.use],
      *(_mib(n) for n in (row.weights, row.optimizer, row.working, row.total)),
      flops(row.flops),
    )
  text = f"By the compiler for this machine's {found.device}; other devices"
  note = Text(f"{text} lay programs out differently.", style="dim")
  if found.spec["num_classes"] is None and not found.spec["writes"]:
    note.append(" With a new head of 10 classes.")
  return Group(table, note)


_USES = types.MappingProxyType(
  {
    "inference": "predict",
    "head only": "train the head",
    "full": "train everything",
  }
)
_STYLES = types.MappingProxyType(
  {"error": "bold red", "warning": "yellow", "note": "blue", "ok": "green"}
)


def _findings(found: Inspection) -> Table | Text:
  if not found.findings:
    return Text("nothing stands out")
  grid = Table.grid(padding=(0, 2))
  for finding in found.findings:
    style = _STYLES[finding.level]
    grid.add_row(Text(finding.level, style=style), Text(clean(finding.message)))
  return grid


def _tuning(found: Inspection) -> Text | None:
  if not found.freeze:
    return None
  full = found.step_flops["full"]
  lines = [freeze.format_table(found.freeze), "", *found.rates]
  for i, phase in enumerate(found.phases):
    cost = found.step_flops[f"phase {i}"]
    times = f" x {phase['lr_scale']:g}" if phase["lr_scale"] != 1 else ""
    lines.append(
      f"from {phase['begins']}: train {', '.join(phase['labels'])}{times};"
      f" forward and backward {flops(cost)} for one example,"
      f" {100 * cost / full:.0f} % of training everything"
    )
  return Text("\n".join(lines))


def presets_table(found: Sequence[Preset]) -> RenderableType:
  """Returns the presets under their families."""
  width = max(len(preset.name) for preset in found)
  shown: list[RenderableType] = []
  for family in dict.fromkeys(preset.family for preset in found):
    rows = [preset for preset in found if preset.family == family]
    heading = Text(family, style="bold")
    heading.append("  loads from ", style="not bold dim")
    heading.append(", ".join(rows[0].dialects), style="not bold")
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=width + 2)
    table.add_column(justify="right", min_width=13)
    for preset in rows:
      table.add_row(f"  {preset.name}", f"{preset.params:,}", preset.input)
    shown += [heading, table, ""]
  more = "s" if len(found) != 1 else ""
  note = f"{len(found)} architecture{more}; parameters without a head."
  return Group(*shown, Text(note, style="dim"))


def flops(count: float) -> str:
  """Returns a count of FLOPs for a person.

  >>> flops(8.2e9)
  '8.20 GFLOP'
  """
  for unit, size in (("TFLOP", 1e12), ("GFLOP", 1e9), ("MFLOP", 1e6)):
    if count >= size:
      return f"{count / size:.2f} {unit}"
  return f"{count:.0f} FLOP"


def _mib(count: int) -> str:
  mib = count / 2**20
  return f"{mib:,.2f}" if mib < 10 else f"{mib:,.0f}"
