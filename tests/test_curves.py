import io
import math
import sys

import numpy as np
import pytest
from PIL import Image

from jft import curves, pictures, writers


def rows(steps=60, val_every=20):
  found = [{"step": 0, "event": "phase", "label": "head only"}]
  for step in range(1, steps + 1):
    found.append(
      {
        "step": step,
        "train/loss": 2 / step,
        "train/accuracy": 1 - 1 / step,
        "lr/head": 1e-3,
        "lr/$back_bone": 1e-4,
      }
    )
    if val_every and step % val_every == 0:
      found.append({"step": step, "val/loss": 1.0, "val/accuracy": step / 100})
  return found


def report(names):
  count = len(names)
  scores = {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 5}
  return {
    "split": "test",
    "classes": [{"name": name, **scores} for name in names],
    "macro_f1": 1.0,
    "confusion": (5 * np.eye(count, dtype=int)).tolist(),
  }


def panels(figure):
  return {axes.get_title("left"): axes for axes in figure.axes}


def lines(axes, gid):
  return [line for line in axes.lines if line.get_gid() == gid]


def test_the_mark_lies_at_the_best_step():
  figure = curves.curves(rows(), best_step=40)
  for title, value in (("loss", 1.0), ("accuracy", 0.4)):
    axes = panels(figure)[title]
    (line,) = lines(axes, "best")
    assert list(line.get_xdata()) == [40, 40]
    (dot,) = lines(axes, "best-value")
    assert (list(dot.get_xdata()), list(dot.get_ydata())) == ([40], [value])
    assert dot.get_label() == f"best step 40: {value:.4g}"
  (line,) = lines(panels(figure)["learning rate"], "best")
  assert list(line.get_xdata()) == [40, 40]


def test_there_is_a_panel_for_all_that_was_written_and_nothing_else():
  axes = panels(curves.curves(rows()))
  assert list(axes) == ["loss", "accuracy", "learning rate"]
  labels = [text.get_text() for text in axes["loss"].get_legend().get_texts()]
  assert labels == ["train (thick: median of 7)", "validation"]
  labels = axes["learning rate"].get_legend().get_texts()
  assert [text.get_text() for text in labels] == [r"\$back_bone", "head"]
  only = [{"step": 1, "val/loss": 0.5}]
  assert list(panels(curves.curves(only))) == ["loss"]


def test_the_drawn_line_is_the_data():
  axes = panels(curves.curves(rows(steps=5, val_every=0)))["loss"]
  (line,) = axes.lines[:1]
  np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4, 5])
  np.testing.assert_allclose(line.get_ydata(), [2, 1, 2 / 3, 0.5, 0.4])


def test_events_are_labelled_lines():
  found = [
    *rows(),
    {"step": 30, "event": "rollback", "loss": 9.0, "reason": "$spike_"},
    {"step": 60, "event": "early_stop", "best_step": 40},
  ]
  figure = curves.curves(found)
  for axes in figure.axes:
    at = [line.get_xdata()[0] for line in lines(axes, "event")]
    assert at == [0, 30, 60]
  texts = [text.get_text() for text in figure.axes[0].texts]
  assert texts == ["phase: head only", "rollback: $spike_", "early stop"]
  assert pictures.png(figure)


@pytest.mark.parametrize("colors", [pictures.LIGHT, pictures.DARK])
def test_the_picture_is_1200_wide_on_its_paper(colors):
  data = pictures.png(curves.curves(rows(), colors=colors))
  image = Image.open(io.BytesIO(data)).convert("RGB")
  assert image.size == (1200, 1290)
  corner = "#{:02x}{:02x}{:02x}".format(*image.getpixel((0, 0)))
  assert corner == colors.paper


@pytest.mark.parametrize(
  "found",
  [
    [{"step": 1, "train/loss": 0.5}],
    [{"step": 1, "train/loss": math.nan}, {"step": 2, "train/loss": 1.0}],
    [{"step": s, "train/loss": math.inf if s % 3 else 1.0} for s in range(99)],
  ],
)
def test_few_points_and_holes_are_drawn(found):
  assert pictures.png(curves.curves(found, best_step=1))


@pytest.mark.parametrize("found", [[], [{"step": 1, "train/loss": math.nan}]])
def test_nothing_to_draw_is_none(found):
  assert curves.curves(found) is None


def test_a_spike_does_not_flatten_the_rest():
  found = [{"step": s, "train/loss": 1.0} for s in range(99)]
  found.append({"step": 99, "train/loss": 1e6})
  assert curves.curves(found).axes[0].get_ylim()[1] == pytest.approx(1.5)


def test_confusions_are_shares_of_the_true_class():
  given = report(["cat", "$dog_1^"])
  given["confusion"] = [[3, 1], [0, 0]]
  figure = pictures.confusion(given)
  axes = figure.axes[0]
  np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25], [0, 0]])
  assert [text.get_text() for text in axes.texts] == ["3", "1"]
  assert [t.get_text() for t in axes.get_yticklabels()] == ["cat", "$dog_1^"]
  image = Image.open(io.BytesIO(pictures.png(figure)))
  assert image.size == (1200, 1080)


def test_no_picture_of_too_many_classes_and_none_without_a_report():
  most = pictures.MOST_CLASSES
  assert pictures.confusion(None) is None
  assert pictures.confusion(report([str(i) for i in range(most + 1)])) is None
  assert pictures.confusion(report([str(i) for i in range(most)])) is not None


def test_scripts_that_the_font_lacks_are_no_warning():
  assert pictures.png(pictures.confusion(report(["猫", "犬\n[x]"])))


def test_draw_writes_what_there_is(tmp_path):
  with writers.MetricsWriter(tmp_path, tensorboard=False) as writer:
    writer.write(1, 0, {"train/loss": 1.0})
  assert [path.name for path in curves.draw(tmp_path)] == ["curves.png"]
  summary = {"best_step": 1, "report": report(["a", "b"])}
  writers.write_json(tmp_path / "summary.json", summary)
  paths = curves.draw(tmp_path)
  assert paths == [tmp_path / "curves.png", tmp_path / "confusion.png"]
  for path in paths:
    with Image.open(path) as image:
      assert (image.format, image.width) == ("PNG", 1200)


def test_pyplot_is_not_needed(monkeypatch):
  monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
  assert pictures.png(curves.curves(rows()))
