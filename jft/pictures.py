"""What all pictures share, and those of a report: confusions, or a scatter.

matplotlib's object interface only: no pyplot, no global state, so a notebook's
own figures and settings are left alone.
"""

import dataclasses
import io
import warnings

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure

from jft.typing import Any, Mapping

MOST_CLASSES = 50

_DPI = 150
_WIDTH_INCHES = 8


@dataclasses.dataclass(frozen=True)
class Colors:
  """What a picture is drawn in, as `#rrggbb`."""

  paper: str
  ink: str
  muted: str
  grid: str
  train: str
  val: str
  best: str
  warning: str
  rates: tuple[str, ...]


LIGHT = Colors(
  paper="#ffffff",
  ink="#1c2430",
  muted="#66707f",
  grid="#e6e9ee",
  train="#8a94a6",
  val="#2563eb",
  best="#0f8a5f",
  warning="#d1432f",
  rates=("#7c3aed", "#d97706", "#0891b2", "#be185d", "#4d7c0f", "#475569"),
)
DARK = Colors(
  paper="#171b22",
  ink="#e7eaf0",
  muted="#98a2b3",
  grid="#2a303a",
  train="#8792a5",
  val="#6ea8fe",
  best="#3ecf96",
  warning="#ff7b66",
  rates=("#b794f6", "#f5b04c", "#4cc9e0", "#f472b6", "#a3d65c", "#a8b3c5"),
)


def figure(height_inches: float, colors: Colors) -> Figure:
  """Returns an empty figure, 1200 pixels wide."""
  size = (_WIDTH_INCHES, height_inches)
  return Figure(size, _DPI, facecolor=colors.paper, layout="constrained")


def confusion(
  report: Mapping[str, Any] | None, colors: Colors = LIGHT
) -> Figure | None:
  """Returns the confusions as shares of each true class.

  Args:
    report: as `metrics.classification_report` returns, with at most
      `MOST_CLASSES` classes.
    colors: `LIGHT` or `DARK`.

  Returns:
    A figure 1200 pixels wide, None for no report or too many classes.
  """
  if not report or "confusion" not in report:
    return None
  if not 1 < len(report["classes"]) <= MOST_CLASSES:
    return None
  counts = np.asarray(report["confusion"], float)
  shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
  names = [short(row["name"]) for row in report["classes"]]
  drawn = figure(_WIDTH_INCHES * 0.9, colors)
  axes = drawn.subplots()
  ramp = LinearSegmentedColormap.from_list("ramp", [colors.paper, colors.val])
  # The root of the share: one example in a hundred must be seen.
  image = axes.imshow(shares, cmap=ramp, norm=PowerNorm(0.5, 0, 1))
  size = float(np.clip(240 / len(names), 4.5, 9))
  ticks = np.arange(len(names))
  axes.set_xticks(ticks, names, rotation=90, parse_math=False)
  axes.set_yticks(ticks, names, parse_math=False)
  axes.tick_params(colors=colors.ink, labelsize=size, length=0)
  axes.set_xlabel("predicted", color=colors.muted, fontsize=9)
  axes.set_ylabel("true", color=colors.muted, fontsize=9)
  axes.spines[:].set_color(colors.grid)
  for i, j in np.argwhere(counts > 0):
    ink = colors.paper if shares[i, j] > 0.4 else colors.ink
    text = f"{counts[i, j]:.0f}"
    fitting = min(size, 630 / len(names) / len(text))
    axes.text(j, i, text, ha="center", va="center", color=ink, fontsize=fitting)
  bar = drawn.colorbar(image, ax=axes, shrink=0.6, ticks=[0, 0.1, 0.5, 1])
  bar.ax.tick_params(colors=colors.muted, labelsize=8, length=2)
  bar.set_label("share of the true class", color=colors.muted, fontsize=8)
  bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
  return drawn


def scatter(
  report: Mapping[str, Any] | None, colors: Colors = LIGHT
) -> Figure | None:
  """Returns the predictions of a regression over their targets.

  Args:
    report: with "points", as the regression task reports.
    colors: `LIGHT` or `DARK`.

  Returns:
    A figure 1200 pixels wide, None for another report.
  """
  if not report or "points" not in report:
    return None
  target, predicted = (
    np.asarray(report["points"][name], float)
    for name in ("target", "predicted")
  )
  drawn = figure(_WIDTH_INCHES * 0.6, colors)
  axes = drawn.subplots()
  axes.set_facecolor(colors.paper)
  axes.plot(target, predicted, "o", color=colors.val, markersize=3, alpha=0.5)
  ends = [target.min(), target.max()]
  axes.plot(ends, ends, color=colors.muted, linewidth=1, gid="ideal")
  axes.set_xlabel("target", color=colors.muted, fontsize=9)
  axes.set_ylabel("predicted", color=colors.muted, fontsize=9)
  axes.tick_params(colors=colors.muted, labelsize=8, length=0)
  axes.grid(True, color=colors.grid, linewidth=0.8)
  axes.spines[:].set_visible(False)
  return drawn


def png(drawn: Figure) -> bytes:
  """Returns the figure as a PNG, 150 pixels an inch."""
  FigureCanvasAgg(drawn)
  out = io.BytesIO()
  with warnings.catch_warnings():
    # A class name in a script that the font lacks is shown as boxes.
    warnings.filterwarnings("ignore", "Glyph .* missing from font")
    drawn.savefig(out, format="png", dpi=_DPI, facecolor=drawn.get_facecolor())
  return out.getvalue()


def drawable(text: str) -> str:
  r"""Returns a text that matplotlib takes.

  Half a surrogate pair, as in file names that are no UTF-8, becomes "\udcff".
  """
  return text.encode(errors="backslashreplace").decode()


def short(name: str, most: int = 28) -> str:
  """Returns a name on one line, cut at `most` characters."""
  name = drawable(" ".join(str(name).split()))
  return name if len(name) <= most else f"{name[: most - 1]}…"
