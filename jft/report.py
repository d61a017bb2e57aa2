"""A run as one page: `report.html`, which needs nothing but itself.

The page is made of the files of the workdir, so it can be made again at any
time, and of a run that was cut off as well. Whatever a file says (class names,
paths, errors) is escaped by the template.
"""

import base64
import json
import math
import os
import pathlib
import shlex
from collections import Counter

import jinja2

from jft import atomic, curves, pictures, writers
from jft.errors import UserError
from jft.typing import Any, Iterable, Mapping, Sequence

FILE = "report.html"

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
_HEADLINES = ("test/accuracy", "val/accuracy")
# What the page shows of each file; what a file lacks is None.
_RUN = ("model", "data", "versions", "device", "cores", "xla_flags", "git")
_SUMMARY = ("wall_secs", "params_trainable", "params_total", "incidents")
# What other values than a run's own come to.
_DAMAGE = (
  ArithmeticError,
  AttributeError,
  LookupError,
  RecursionError,
  TypeError,
  ValueError,
  jinja2.UndefinedError,
)
_SPLITS = {"test": "test", "val": "validation", "train": "training"}


def render(workdir: str | os.PathLike[str]) -> pathlib.Path:
  """Writes `report.html`.

  Args:
    workdir: holds `run.json` and `metrics.jsonl`, and `summary.json` once the
      run has ended.

  Returns:
    The page's path.

  Raises:
    UserError: if a file is missing or damaged.
  """
  workdir = pathlib.Path(workdir)
  run = _object(workdir / "run.json")
  rows = writers.read_metrics(workdir)
  summary: dict[str, Any] = {"status": "not finished"}
  if (workdir / "summary.json").exists():
    summary |= _object(workdir / "summary.json")
  try:
    view = _view(workdir.resolve().name, run, rows, summary)
    page = _template().render(view)
  except _DAMAGE as error:
    raise UserError(
      f"no report of {workdir}: run.json or summary.json holds what jft does"
      f" not write there ({type(error).__name__}: {str(error)[:200]}). Restore"
      " or delete it."
    ) from error
  # Half a surrogate pair, of a file name that is no UTF-8, is no HTML either.
  atomic.write_bytes(workdir / FILE, page.encode(errors="xmlcharrefreplace"))
  return workdir / FILE


def _object(path: pathlib.Path) -> dict[str, Any]:
  found = writers.read_json(path)
  if not isinstance(found, dict):
    raise UserError(f"{path} is not a JSON object. Restore it or delete it.")
  return found


def _template() -> jinja2.Template:
  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.filters |= {
    "count": count,
    "duration": duration,
    "number": number,
    "percent": percent,
    "size": size,
    "some": some,
  }
  return environment.get_template("report.html.j2")


def _view(
  name: str,
  run: Mapping[str, Any],
  rows: Sequence[Mapping[str, Any]],
  summary: Mapping[str, Any],
) -> dict[str, Any]:
  """Returns all that the template shows."""
  load = run.get("load") or []
  report = summary.get("report")
  metrics = summary.get("metrics") or _latest(rows)
  return {
    "name": name,
    "run": {key: run.get(key) or {} for key in _RUN},
    "about": _about(run),
    "summary": {key: summary.get(key) for key in _SUMMARY},
    "status": summary["status"],
    "metrics": metrics,
    "headline": _headline(metrics, _main(run)),
    "step": summary.get("step", max((r["step"] for r in rows), default=0)),
    "best_step": summary.get("best_step"),
    "before": summary.get("before") or {},
    "curves": _pictures(
      curves.curves(rows, summary.get("best_step"), colors)
      for colors in (pictures.LIGHT, pictures.DARK)
    ),
    "report": report,
    "split": _SPLITS.get((report or {}).get("split", ""), ""),
    "confusion": _pictures(
      pictures.confusion(report, colors)
      for colors in (pictures.LIGHT, pictures.DARK)
    ),
    "scatter": _pictures(
      pictures.scatter(report, colors)
      for colors in (pictures.LIGHT, pictures.DARK)
    ),
    "confused": _most_confused(report or {}),
    "events": [row for row in rows if "event" in row],
    "freeze": run.get("freeze") or [],
    "load_counts": Counter(row["status"] for row in load),
    "not_loaded": [row for row in load if row["status"] != "loaded"],
    "warnings": [
      row for row in run.get("preflight") or [] if row["level"] != "ok"
    ],
    "resumes": [row for row in run.get("resumes") or [] if row["changed"]],
    "config": list(_flat(run.get("config") or {})),
    "command": shlex.join(map(str, run.get("command") or [])),
  }


def _about(run: Mapping[str, Any]) -> str:
  model = run.get("model") or {}
  said = [model.get(key) for key in ("family", "preset", "source")]
  if run.get("started"):
    said.append(f"started {run['started']}")
  return " · ".join(filter(None, said))


def _latest(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
  """Returns the newest evaluation, of a run that has not ended."""
  names = {name for row in rows for name in row if name.startswith("val/")}
  values = {name: writers.series(rows, name)[1] for name in sorted(names)}
  return {name: found[-1] for name, found in values.items() if found}


def _main(run: Mapping[str, Any]) -> str:
  """Returns the metric, without its split, that decided what was best."""
  stop = (run.get("config") or {}).get("stop") or {}
  return str(stop.get("metric", "")).partition("/")[2]


def _headline(metrics: Mapping[str, Any], main: str) -> dict[str, Any] | None:
  """Returns the one number to show large, None without any."""
  chosen = (f"test/{main}", f"val/{main}")
  for name in (*_HEADLINES, *chosen, *sorted(metrics)):
    if name in metrics:
      split, _, metric = name.partition("/")
      text = percent if metric == "accuracy" else number
      return {
        "value": text(metrics[name]),
        "name": f"{_SPLITS.get(split, split)} {metric}".strip(),
      }
  return None


def _pictures(figures: Iterable[Any]) -> list[str]:
  """Returns base64 PNGs (light, dark), nothing if there is nothing to draw."""
  return [
    base64.b64encode(pictures.png(figure)).decode()
    for figure in figures
    if figure is not None
  ]


def _most_confused(
  report: Mapping[str, Any], most: int = 12
) -> list[dict[str, Any]]:
  """Returns the pairs of classes with the most mistakes, most first."""
  names = [row["name"] for row in report.get("classes", ())]
  pairs = [
    {"true": names[i], "predicted": names[j], "examples": wrong}
    for i, counts in enumerate(report.get("confusion", ()))
    for j, wrong in enumerate(counts)
    if i != j and wrong
  ]
  return sorted(pairs, key=lambda pair: -pair["examples"])[:most]


def _flat(
  config: Mapping[str, Any], above: str = ""
) -> Iterable[tuple[str, str]]:
  for key, value in config.items():
    if isinstance(value, Mapping):
      yield from _flat(value, f"{above}{key}.")
    else:
      yield f"{above}{key}", json.dumps(value, ensure_ascii=False)


def percent(value: Any) -> str:
  """Returns a share as a percentage.

  >>> percent(0.91234)
  '91.23 %'
  """
  value = float(value)
  return f"{100 * value:.2f} %" if math.isfinite(value) else number(value)


def number(value: Any) -> str:
  """Returns a number in four digits; also of the texts for nan and infinity.

  >>> number(0.123456), number("NaN"), number(None)
  ('0.1235', 'NaN', '–')
  """
  if value is None:
    return "–"
  value = float(value)
  return f"{value:.4g}" if math.isfinite(value) else writers.to_json(value)


def count(value: Any) -> str:
  """Returns a count in three digits.

  >>> count(85_826_341), count(28_453), count(512)
  ('85.8 M', '28.5 k', '512')
  """
  for unit, word in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
    if value >= unit:
      return f"{value / (1e3 if word == ' k' else unit):.3g}{word}"
  return f"{value:,}"


def some(values: Sequence[Any] | None, most: int = 6) -> str:
  """Returns the first few of a list.

  >>> some([3, 1, 2], 2), some(None)
  ('3, 1 and 1 more', '–')
  """
  values = values or []
  more = len(values) - most
  shown = ", ".join(map(str, values[:most])) or "–"
  return f"{shown} and {more} more" if more > 0 else shown


def size(value: Any) -> str:
  """Returns bytes in three digits.

  >>> size(343_305_364), size(0)
  ('343 MB', '0 B')
  """
  for unit, word in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
    if value >= unit:
      return f"{value / unit:.3g} {word}"
  return f"{value} B"


def duration(secs: Any) -> str:
  """Returns a time such as a person would say it.

  >>> duration(4), duration(75.2), duration(8000)
  ('4 s', '1 min 15 s', '2 h 13 min')
  """
  secs = round(secs)
  if secs >= 3600:
    return f"{secs // 3600} h {secs % 3600 // 60} min"
  return f"{secs // 60} min {secs % 60} s" if secs >= 60 else f"{secs} s"
