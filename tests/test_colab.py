"""The notebooks run from top to bottom, and print what they promise."""

import os
import pathlib
import re

import nbclient
import nbformat
import pytest

COLAB = pathlib.Path(__file__).parent.parent / "colab"
NOTEBOOKS = sorted(path.stem for path in COLAB.glob("*.ipynb"))


def read(name):
  return nbformat.read(COLAB / f"{name}.ipynb", as_version=4)


def execute(name, folder):
  """Runs a notebook in a folder of its own; returns it with its outputs."""
  notebook = read(name)
  for sub in ("temp", "jupyter", "ipython"):
    (folder / sub).mkdir()
  environment = {
    **os.environ,
    "IPYTHONDIR": str(folder / "ipython"),
    "JAX_PLATFORMS": "cpu",
    "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
    "TMPDIR": str(folder / "temp"),
  }
  # What a user has: one device, and no warnings turned into errors.
  for key in ("XLA_FLAGS", "MPLBACKEND", "PYTHONWARNINGS"):
    environment.pop(key, None)
  client = nbclient.NotebookClient(
    notebook,
    timeout=300,
    kernel_name="python3",
    resources={"metadata": {"path": str(folder)}},
  )
  client.execute(env=environment)
  return notebook


def printed(notebook):
  return "".join(
    output.text
    for cell in notebook.cells
    for output in cell.get("outputs", [])
    if output.output_type == "stream" and output.name == "stdout"
  )


def number(pattern, text):
  (found,) = re.findall(pattern, text)
  return float(found)


def test_the_notebooks():
  assert NOTEBOOKS == ["quickstart"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_outputs_are_kept(name):
  notebook = read(name)
  nbformat.validate(notebook)
  code = [cell for cell in notebook.cells if cell.cell_type == "code"]
  assert [cell.outputs for cell in code if cell.outputs] == []
  assert {cell.execution_count for cell in code} == {None}


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
  return execute("quickstart", tmp_path_factory.mktemp("quickstart"))


@pytest.mark.slow
def test_quickstart_trains(quickstart):
  text = printed(quickstart)
  assert "75 loaded, 2 reinit" in text
  assert "('(block_04|block_05)/.*', 'backbone')" in text
  assert "trainable: 132,362 of 174,970 parameters (75.65 %)" in text
  assert "30 of 30 frozen leaves are unchanged" in text
  assert "the same test accuracy: True" in text
  assert re.search(r"fit: (completed|early_stopped) at step 120\b", text)
  # Measured: 0.981 and 0.992.
  assert number(r"(?m)^test accuracy (\S+)$", text) > 0.95
  assert number(r"fit: test accuracy (\S+)", text) > 0.95


@pytest.mark.slow
def test_quickstart_shows_pictures_and_plain_lines(quickstart):
  outputs = [o for cell in quickstart.cells for o in cell.get("outputs", [])]
  pictures = [o for o in outputs if "image/png" in o.get("data", {})]
  assert len(pictures) == 2  # The curves and the digits.
  streams = [o for o in outputs if o.output_type == "stream"]
  # A bar would be drawn anew for every update, below the last one.
  assert [o.text for o in streams if "\x1b[" in o.text] == []
  assert [o.text for o in streams if o.name == "stderr"] == []
