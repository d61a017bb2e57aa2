"""What README.md and BUILD.md say to type works, and their links lead on."""

import functools
import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys

import pytest

from jft import config

ROOT = pathlib.Path(__file__).parent.parent
PAGES = (
  "BUILD.md",
  "CHANGELOG.md",
  "README.md",
  "docs/adapters.md",
  "docs/augmentation.md",
  "docs/export.md",
  "docs/language_models.md",
  "docs/methods.md",
  "docs/models.md",
  "docs/reliability.md",
  "docs/reproducibility.md",
)


def text(page):
  return (ROOT / page).read_text(encoding="utf-8")


def blocks(page, language):
  """Returns the code blocks of one language."""
  return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text(page))


def commands(page):
  """Returns each line that starts with "jft", split into words."""
  joined = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
  parts = re.split(r"\n|&&|;", joined)
  return [shlex.split(part, comments=True) for part in parts if "jft " in part]


def anchors(page):
  """Returns the names that GitHub gives to a page's headings."""
  titles = re.findall(r"(?m)^#+ (.*)$", text(page))
  return {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}


def test_the_readme_begins_with_two_commands():
  assert blocks("README.md", "sh")[:2] == [
    "pip install -e . && jft train --config=configs/quickstart.py"
    " --workdir=runs/quickstart\n",
    "pip install -e '.[test]' && pytest\n",
  ]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
  lost = []
  for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
    if target.startswith("http"):
      continue
    path, _, anchor = target.partition("#")
    path = str(pathlib.Path(page).parent / path) if path else page
    if not (ROOT / path).exists() or (anchor and anchor not in anchors(path)):
      lost.append(target)
  assert lost == []


@pytest.mark.parametrize("page", [p for p in PAGES if "docs/" in p])
def test_tests_that_are_named_exist(page):
  """A guarantee names the test that shows it."""
  lost, file = [], ""
  for found in re.findall(
    r"`((?:[\w/]+\.py(?:::)?)?(?:test_\w+)?)`", text(page)
  ):
    if not found:
      continue
    path, _, name = found.partition("::")
    if path.endswith(".py") and not path.rpartition("/")[2].startswith("test_"):
      continue  # A script: the test of files that are named looks for it.
    if path.endswith(".py"):
      file = path
    else:
      name = path
    there = (ROOT / "tests" / file).is_file()
    if not there or (name and f"def {name}(" not in text(f"tests/{file}")):
      lost.append(found)
  assert lost == []


@functools.cache
def help_of(command):
  argv = [sys.executable, "-m", "jft.cli.main", command, "--help"]
  return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
  "page",
  [
    "BUILD.md",
    "README.md",
    "docs/adapters.md",
    "docs/augmentation.md",
    "docs/export.md",
    "docs/reproducibility.md",
  ],
)
def test_commands_are_accepted(page, monkeypatch):
  monkeypatch.chdir(ROOT)
  typed = [words for words in commands(page) if words[0] == "jft"]
  assert typed != []
  for words in typed:
    help_text = help_of(words[1])
    options = [word.split("=")[0] for word in words if word.startswith("--")]
    known = [o for o in options if not o.startswith("--config.")]
    assert [o for o in known if o not in help_text] == []


@pytest.mark.parametrize(
  "page",
  [
    "BUILD.md",
    "README.md",
    "docs/adapters.md",
    "docs/augmentation.md",
    "docs/language_models.md",
    "docs/models.md",
  ],
)
def test_configs_and_their_keys_exist(page, monkeypatch):
  monkeypatch.chdir(ROOT)
  for words in commands(page):
    given = dict(word.split("=", 1) for word in words if "=" in word)
    recipe = given.pop("--config", None)
    overrides = [
      f"{name.removeprefix('--config.')}={value}"
      for name, value in given.items()
      if name.startswith("--config.")
    ]
    if recipe:
      config.load(recipe, overrides)


@pytest.mark.parametrize("page", ["BUILD.md", "README.md", "docs/models.md"])
def test_files_that_are_named_exist(page):
  named = re.findall(
    r"(?<![\w/.])((?:benchmarks|colab|configs|docs|jft|scripts|tests|\.ci)"
    r"/[\w./*]+)",
    text(page),
  )
  paths = {name.rstrip(".") for name in named} - {
    "jft/configs",  # In the wheel alone.
    "jft/x.py",
    "tests/test_x.py",
  }
  assert sorted(p for p in paths if not list(ROOT.glob(p.rstrip("/")))) == []


@pytest.mark.slow
def test_the_readme_s_program_runs(tmp_path):
  (program,) = blocks("README.md", "python")
  done = run(program, tmp_path)
  accuracy = float(re.search(r"'accuracy': ([\d.]+)", done.stdout)[1])
  assert accuracy > 0.9


def test_the_program_of_own_models_runs(tmp_path):
  (program,) = blocks("docs/loading.md", "python")
  printed = run(program, tmp_path).stdout
  assert printed.startswith("4 loaded\n")
  assert "resized" in printed
  assert printed.endswith("(1, 5)\n")


def test_the_program_of_adapters_runs(tmp_path):
  (program,) = blocks("docs/adapters.md", "python")
  switched, unmerged = run(program, tmp_path).stdout.splitlines()
  assert switched == "('plays',) ('mixed',) merged: True"
  assert unmerged == "unmerged: True"


@pytest.mark.slow
def test_the_program_of_augmentation_runs(tmp_path):
  (program,) = blocks("docs/augmentation.md", "python")
  assert run(program, tmp_path).stdout == "(32, 8, 8, 1) (32, 10) 1.0\n"


@pytest.mark.slow
def test_the_program_of_exports_runs(tmp_path):
  (program,) = blocks("docs/export.md", "python")
  first, second, third = run(program, tmp_path).stdout.splitlines()
  assert first == "True ['export.json', 'model.json', 'model.stablehlo']"
  assert second == "('cpu', 'tpu', 'cuda') (5, 10)"
  assert third == "{'loaded': 57}"


@pytest.mark.slow
def test_the_program_of_language_models_runs(tmp_path):
  (program,) = blocks("docs/language_models.md", "python")
  measured, written = run(program, tmp_path).stdout.splitlines()
  assert float(measured.removeprefix("perplexity ")) < 1.3
  assert written == "the cat sat on the mat"


def run(program, folder):
  (folder / "program.py").write_text(program)
  return subprocess.run(
    [sys.executable, "program.py"],
    cwd=folder,
    env=environment(),
    capture_output=True,
    text=True,
    check=True,
    timeout=300,
  )


def environment(**changes):
  """The environment of a user: one CPU device."""
  ours = "XLA_FLAGS", "JAX_DISABLE_MOST_OPTIMIZATIONS"
  kept = {k: v for k, v in os.environ.items() if k not in ours}
  return kept | {"JAX_PLATFORMS": "cpu"} | changes


def launch(program, folder, processes):
  """Runs a program in several processes, as SLURM's srun does."""
  (folder / "pod.py").write_text(program)
  with socket.socket() as free:
    free.bind(("localhost", 0))
    port = str(free.getsockname()[1])
  started = [
    subprocess.Popen(
      [sys.executable, "pod.py"],
      cwd=folder,
      env=environment(
        JAX_COORDINATOR_PORT=port,
        JAX_CPU_COLLECTIVES_IMPLEMENTATION="gloo",
        SLURM_JOB_ID="1",
        SLURM_LOCALID=str(rank),
        SLURM_NTASKS=str(processes),
        SLURM_PROCID=str(rank),
        SLURM_STEP_NODELIST="localhost",
        SLURM_STEP_NUM_NODES="1",
      ),
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )
    for rank in range(processes)
  ]
  try:
    printed = [process.communicate(timeout=300)[0] for process in started]
  finally:
    for process in started:
      process.kill()
  assert [process.returncode for process in started] == [0] * processes, printed
  return printed


@pytest.mark.slow
def test_the_program_for_pods_trains_and_goes_on(tmp_path):
  (program,) = blocks("BUILD.md", "python")
  first, other = launch(program.replace("until=60", "until=40"), tmp_path, 2)
  steps = re.findall(r"step (\d+): accuracy ([\d.]+)", first)
  assert [int(step) for step, _ in steps] == [20, 40]
  assert float(steps[-1][1]) > 0.9
  assert "step" not in other
  first, _ = launch(program, tmp_path, 2)
  assert [int(s) for s in re.findall(r"step (\d+):", first)] == [60]
