import html.parser
import re

import pytest

from jft import report, writers
from jft.errors import UserError

EVIL = "</td><script>alert(1)</script><img src=x onerror='alert(2)'>\"{{ 7*7 }}"


def make_run(workdir, text="cat", ended=True):
  writers.write_json(
    workdir / "run.json",
    {
      "command": ["jft", "train", f"--config={text}"],
      "config": {"seed": 3, "model": {"source": text}},
      "versions": {"jax": text},
      "device": {"kind": text, "count": 8, "platform": "tpu"},
      "cores": 112,
      "xla_flags": text,
      "git": {"commit": text, "dirty": True},
      "started": text,
      "model": {"family": "vit", "source": text, "num_classes": 2},
      "load": [
        load_row("params/stem/kernel", "loaded", ""),
        load_row(f"params/{text}", "reinit", text),
      ],
      "freeze": [
        {
          "label": text,
          "leaves": 2,
          "params": 28453,
          "optimizer_bytes": 227624,
          "percent": 12.5,
        }
      ],
      "data": {
        text: {"examples": 3312, "sha256": "ab" * 32},
        "val": {
          "examples": 1,
          "sha256": "cd" * 32,
          "tokens": 2600,
          "tokens_to_learn": 1300,
        },
      },
      "preflight": [
        {"check": "labels", "level": "ok", "message": "fine", "details": {}},
        {"check": text, "level": "warning", "message": text, "details": {}},
      ],
      "resumes": [
        {"time": text, "command": [text], "changed": {}},
        {"time": text, "command": [text], "changed": {text: [text, 8]}},
      ],
    },
  )
  with writers.MetricsWriter(workdir, tensorboard=False) as writer:
    writer.event(0, 0, "phase", label=text)
    writer.write(10, 0, {"train/loss": 1.0, f"lr/{text}": 1e-3})
    writer.write(10, 0, {"val/accuracy": 0.75})
  if ended:
    writers.write_json(workdir / "summary.json", summary(text))


def load_row(name, status, reason):
  return {
    "name": name,
    "source": name,
    "status": status,
    "shape": [768, 2],
    "source_shape": None,
    "reason": reason,
  }


def summary(text):
  scores = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 4}
  return {
    "status": "completed",
    "step": 10,
    "best_step": 10,
    "metrics": {"val/accuracy": 0.75, "test/accuracy": 0.8125, text: 1},
    "before": {"val/accuracy": 0.4375, text: 0},
    "wall_secs": 75.0,
    "params_trainable": 25,
    "params_total": 200,
    "incidents": [
      {
        "step": 7,
        "reason": text,
        "loss": float("nan"),
        "grad_norm": float("inf"),
        "median": None,
        "leaf": text,
        "ids": [*range(20)],
        "rolled_back_to": 5,
        "action": text,
      }
    ],
    "report": {
      "split": "test",
      "classes": [{"name": text, **scores}, {"name": "dog", **scores}],
      "macro_f1": 0.5,
      "confusion": [[1, 3], [0, 4]],
    },
  }


class Page(html.parser.HTMLParser):
  """Tags, links and text of a page, with whatever is left open."""

  VOID = ("meta", "img", "source", "br")

  def __init__(self, text):
    super().__init__()
    self.tags, self.open, self.text, self.urls = [], [], "", []
    self.attributes = set()
    self.feed(text)
    assert self.open == []

  def handle_starttag(self, tag, attrs):
    self.tags.append(tag)
    self.attributes |= {name for name, _ in attrs}
    self.urls += [v for k, v in attrs if k in ("src", "srcset", "href")]
    if tag not in self.VOID:
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    if "style" not in self.open:
      self.text += data


def read(workdir):
  path = report.render(workdir)
  assert path == workdir / "report.html"
  page = Page(path.read_text(encoding="utf-8"))
  page.text = " ".join(page.text.split())
  return page


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
  path = tmp_path_factory.mktemp("pets")
  make_run(path)
  return path


@pytest.fixture(scope="module")
def page(workdir):
  return read(workdir)


def test_the_page_says_what_the_run_was(page):
  shown = page.text.replace(" ", "")
  for fact in (
    "completed",
    "81.25 % test accuracy",
    "10 of 10 best step",
    "1 min 15 s wall time",
    "12.50 % 25 of 200 parameters trained",
    "7 cat NaN – Infinity cat 0, 1, 2, 3, 4, 5 and 14 more 5 cat",
    "warning: cat cat",
    "Changed when it was resumed cat cat cat → 8",
    "cat dog 3",
    "cat 2 28.5 k 12.50 % 228 kB",
    "1 loaded",
    "1 reinit",
    "params/cat reinit 768 × 2 – cat",
    "3,312 examples",
    "1 example, 2,600 tokens, 1,300 of them to learn",
    "Before training val/accuracy 0.4375",
    "model.source",
    "jft train --config=cat",
    "8 × cat (tpu), 112 CPU cores",
    "with uncommitted changes",
  ):
    assert fact.replace(" ", "") in shown, fact
  assert page.tags.count("picture") == 2


def test_nothing_a_file_says_becomes_html(page, tmp_path):
  make_run(tmp_path, EVIL)
  evil = read(tmp_path)
  assert evil.tags == page.tags
  assert evil.attributes == page.attributes
  assert "script" not in evil.tags
  # Every place that shows the text shows it as it is.
  assert evil.text.count(EVIL) >= 15
  assert "49" not in evil.text.replace(EVIL, "")


@pytest.mark.parametrize("ended", [True, False])
def test_names_of_runs_metrics_and_events_become_no_html(tmp_path, ended):
  evil = "<script>alert(1)<script><b onload='x'>&lt;\"{{ 7*7 }}"
  workdir = tmp_path / evil
  workdir.mkdir()
  make_run(workdir, evil, ended)
  with writers.MetricsWriter(workdir, tensorboard=False) as writer:
    writer.event(10, 0, evil, **{evil: evil})
    writer.write(10, 0, {f"val/{evil}": 1.0})
  if ended:
    made = summary(evil)
    made["metrics"] = {evil: 1.0}
    writers.write_json(workdir / "summary.json", {**made, "status": evil})
  text = report.render(workdir).read_text(encoding="utf-8")
  found = Page(text)
  assert "script" not in found.tags
  assert "onload" not in found.attributes
  assert found.text.count(evil) >= 10
  assert re.search(r"<title>&lt;script&gt;", text)


def test_half_a_surrogate_pair_is_no_crash(tmp_path):
  make_run(tmp_path, "caf\udcff")  # so matplotlib draws no text at all
  assert "caf&#56575;" in report.render(tmp_path).read_text(encoding="utf-8")


@pytest.mark.parametrize(
  ("file", "text", "message"),
  [
    ("run.json", "[]", "run.json is not a JSON object"),
    ("run.json", '{"model": "vit"}', "holds what jft does not write"),
    ("run.json", '{"load": [{}]}', "not write there .KeyError: 'status'"),
    ("run.json", '{"device": {"kind": "a"}}', "no attribute 'count'"),
    ("summary.json", "null", "summary.json is not a JSON object"),
    ("summary.json", '{"step": "x"}', "ValueError: Cannot specify"),
    ("summary.json", '{"report": 3}', "AttributeError"),
    ("summary.json", '{"metrics": {"test/accuracy": "x"}}', "not convert"),
  ],
)
def test_a_file_that_no_run_wrote_is_an_error(tmp_path, file, text, message):
  writers.write_json(tmp_path / "run.json", {})
  writers.MetricsWriter(tmp_path, tensorboard=False).close()
  (tmp_path / file).write_text(text)
  with pytest.raises(UserError, match=message):
    report.render(tmp_path)
  assert not (tmp_path / report.FILE).exists()


def test_nothing_is_fetched_from_elsewhere(workdir, page):
  text = (workdir / "report.html").read_text()
  assert all(url.startswith("data:image/png;base64,iVBOR") for url in page.urls)
  assert "default-src 'none'" in text
  assert not re.search(r"@import|url\(|https?://", text)


def test_both_schemes_have_their_pictures(workdir, page):
  text = (workdir / "report.html").read_text()
  assert text.count('media="(prefers-color-scheme: dark)"') == 2
  assert len(set(page.urls)) == 4


@pytest.mark.parametrize("status", [None, "interrupted"])
def test_a_run_that_was_cut_off_has_a_page(tmp_path, status):
  make_run(tmp_path, ended=False)
  if status:
    ended = {"status": status, "step": 10, "best_step": None, "metrics": {}}
    writers.write_json(tmp_path / "summary.json", ended)
  cut = read(tmp_path)
  assert (status or "not finished") in cut.text
  assert "75.00 %" in cut.text
  assert "Latest evaluation" in cut.text
  assert "Incidents" not in cut.text
  assert "Confusions" not in cut.text


def test_a_run_that_only_just_began_has_a_page(tmp_path):
  writers.write_json(tmp_path / "run.json", {})
  writers.MetricsWriter(tmp_path, tensorboard=False).close()
  begun = read(tmp_path)
  assert "no evaluation yet" in begun.text
  assert "No metrics were written." in begun.text
  assert begun.tags.count("img") == 0


def test_the_same_files_give_the_same_page(workdir, page):
  first = (workdir / "report.html").read_bytes()
  assert report.render(workdir).read_bytes() == first
  assert sorted(path.name for path in workdir.iterdir()) == [
    "metrics.jsonl",
    "report.html",
    "run.json",
    "summary.json",
  ]


def test_a_folder_without_a_run_is_an_error(tmp_path):
  with pytest.raises(UserError, match="Is this the workdir of a run"):
    report.render(tmp_path)
