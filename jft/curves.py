"""A run's curves over its steps: loss, main metric and learning rates."""

import os
import pathlib

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jft import atomic, pictures, writers
from jft.pictures import LIGHT, Colors
from jft.typing import Any, Mapping, Sequence

_TITLES = ("loss", "accuracy", "f1", "spearman")
_EVENTS = ("phase", "rollback", "resumed", "early_stop")


def draw(workdir: str | os.PathLike[str]) -> list[pathlib.Path]:
  """Draws `curves.png`, and `confusion.png` or `scatter.png`, of a run.

  Args:
    workdir: holds `metrics.jsonl` and, once the run has ended, `summary.json`.

  Returns:
    The pictures that there was something to draw for.
  """
  workdir = pathlib.Path(workdir)
  summary = {}
  if (workdir / "summary.json").exists():
    summary = writers.read_json(workdir / "summary.json")
  figures = {
    "curves.png": curves(
      writers.read_metrics(workdir), summary.get("best_step")
    ),
    "confusion.png": pictures.confusion(summary.get("report")),
    "scatter.png": pictures.scatter(summary.get("report")),
  }
  paths = []
  for name, figure in figures.items():
    if figure is not None:
      atomic.write_bytes(workdir / name, pictures.png(figure))
      paths.append(workdir / name)
  return paths


def curves(
  rows: Sequence[Mapping[str, Any]],
  best_step: int | None = None,
  colors: Colors = LIGHT,
) -> Figure | None:
  """Returns loss, accuracy (F1, Spearman) and rates over the steps.

  Args:
    rows: as `writers.read_metrics` returns.
    best_step: marked in every panel, if given.
    colors: `LIGHT` or `DARK`.

  Returns:
    A figure 1200 pixels wide, None if there is nothing to draw.
  """
  panels = _panels(rows, colors)
  if not panels:
    return None
  heights = [2.0 if title == "learning rate" else 3.0 for title in panels]
  figure = pictures.figure(sum(heights) + 0.6, colors)
  grid = figure.subplots(
    len(panels), 1, sharex=True, squeeze=False, height_ratios=heights
  )
  for axes, (title, lines) in zip(grid[:, 0], panels.items(), strict=True):
    _style(axes, title, colors)
    for label, color, steps, values in lines:
      _line(axes, label, color, steps, values)
    if title == "loss":
      _leave_spikes_out(axes, lines)
    _mark_best(axes, lines, best_step, colors)
    axes.legend(
      loc="lower right",
      bbox_to_anchor=(1, 1),
      ncols=6,
      frameon=False,
      labelcolor=colors.ink,
      fontsize=8,
      borderaxespad=0.2,
      handlelength=1.4,
    )
  for i, axes in enumerate(grid[:, 0]):
    _mark_events(axes, rows, colors, labelled=i == 0)
  grid[-1, 0].set_xlabel("step", color=colors.muted, fontsize=9)
  grid[-1, 0].xaxis.set_major_locator(
    MaxNLocator(integer=True, steps=[1, 2, 5, 10])
  )
  return figure


def line(
  rows: Sequence[Mapping[str, float]],
  along: str,
  metric: str,
  colors: Colors = LIGHT,
) -> Figure:
  """Returns a metric over something else than steps, its points marked.

  Args:
    rows: {along: where, metric: value}.
    along: what changes from row to row.
    metric: what is drawn.
    colors: `LIGHT` or `DARK`.
  """
  drawn = pictures.figure(3.6, colors)
  axes = drawn.subplots()
  _style(axes, metric, colors)
  xs, ys = (np.asarray([r[k] for r in rows], float) for k in (along, metric))
  axes.plot(xs, ys, color=colors.val, linewidth=1.6, marker=".", markersize=7)
  axes.set_xlabel(along, color=colors.muted, fontsize=9)
  return drawn


def _panels(
  rows: Sequence[Mapping[str, Any]], colors: Colors
) -> dict[str, list[tuple[str, str, np.ndarray, np.ndarray]]]:
  """Returns {title: [(label, color, steps, values)]} of all there is."""
  rates = sorted({n for row in rows for n in row if n.startswith("lr/")})
  wanted = {
    title: [
      ("train", colors.train, f"train/{title}"),
      ("validation", colors.val, f"val/{title}"),
    ]
    for title in _TITLES
  }
  wanted["learning rate"] = [
    (name.removeprefix("lr/"), colors.rates[i % len(colors.rates)], name)
    for i, name in enumerate(rates)
  ]
  panels = {}
  for title, lines in wanted.items():
    drawn = []
    for label, color, name in lines:
      steps, values = (np.asarray(x, float) for x in writers.series(rows, name))
      if np.isfinite(values).any():
        values = np.where(np.isfinite(values), values, np.nan)
        drawn.append((label, color, steps, values))
    if drawn:
      panels[title] = drawn
  return panels


def _style(axes: Axes, title: str, colors: Colors) -> None:
  axes.set_facecolor(colors.paper)
  axes.set_title(
    title, loc="left", color=colors.ink, fontsize=10, fontweight="bold"
  )
  axes.grid(True, color=colors.grid, linewidth=0.8)
  axes.set_axisbelow(True)
  axes.spines[["top", "right", "left"]].set_visible(False)
  axes.spines["bottom"].set_color(colors.grid)
  axes.tick_params(colors=colors.muted, labelsize=8, length=0)
  if title == "learning rate":
    axes.yaxis.set_major_formatter("{x:g}")


def _line(
  axes: Axes, label: str, color: str, steps: np.ndarray, values: np.ndarray
) -> None:
  few = len(steps) <= 40
  noisy = label == "train" and not few
  # A dollar would be read as mathematics.
  label = pictures.drawable(label).replace("$", r"\$")
  axes.plot(
    steps,
    values,
    color=color,
    alpha=0.35 if noisy else 1,
    linewidth=1 if noisy else 1.6,
    marker="." if few else None,
    markersize=5,
    label=None if noisy else label,
  )
  if noisy:
    window = max(len(steps) // 40, 3)
    axes.plot(
      steps,
      _median(values, window),
      color=color,
      linewidth=1.6,
      label=f"{label} (thick: median of {2 * window + 1})",
    )


def _median(values: np.ndarray, window: int) -> np.ndarray:
  padded = np.pad(values, window, mode="edge")
  views = np.lib.stride_tricks.sliding_window_view(padded, 2 * window + 1)
  return np.median(views, axis=1)


def _leave_spikes_out(axes: Axes, lines: Sequence[Any]) -> None:
  values = np.concatenate([line[3] for line in lines])
  values = values[np.isfinite(values)]
  usual = float(np.percentile(values, 95))
  if len(values) > 10 and values.max() > 3 * usual > 0:
    axes.set_ylim(top=1.5 * usual)


def _mark_best(
  axes: Axes, lines: Sequence[Any], best_step: int | None, colors: Colors
) -> None:
  if best_step is None:
    return
  axes.axvline(
    best_step, color=colors.best, linewidth=1, alpha=0.6, gid="best", zorder=1
  )
  for label, _, steps, values in lines:
    if label == "validation" and best_step in steps:
      value = float(values[list(steps).index(best_step)])
      axes.plot(
        [best_step],
        [value],
        "o",
        color=colors.best,
        markeredgecolor=colors.paper,
        markersize=7,
        gid="best-value",
        label=f"best step {best_step}: {value:.4g}",
      )


def _mark_events(
  axes: Axes,
  rows: Sequence[Mapping[str, Any]],
  colors: Colors,
  labelled: bool,
) -> None:
  left, right = axes.get_xlim()
  for row in rows:
    if row.get("event") not in _EVENTS:
      continue
    last = row["step"] > left + 0.95 * (right - left)
    bad = row["event"] == "rollback"
    color = colors.warning if bad else colors.muted
    axes.axvline(
      row["step"],
      color=color,
      linewidth=0.8,
      linestyle=(0, (4, 3)),
      gid="event",
    )
    if labelled:
      axes.annotate(
        _event_text(row),
        (row["step"], 1),
        xycoords=("data", "axes fraction"),
        xytext=(-3 if last else 3, -3),
        textcoords="offset points",
        rotation=90,
        ha="right" if last else "left",
        va="top",
        fontsize=7,
        color=color,
        parse_math=False,
        zorder=1.5,
        bbox={"facecolor": colors.paper, "edgecolor": "none", "pad": 1},
      )


def _event_text(row: Mapping[str, Any]) -> str:
  own = ("step", "attempt", "time", "event")
  texts = (v for k, v in row.items() if k not in own and isinstance(v, str))
  return pictures.short(
    ": ".join([row["event"].replace("_", " "), *list(texts)[:1]])
  )
