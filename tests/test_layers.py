"""The floors and fences of the code, read with ast; nothing is imported.

An import points to its own floor or down. To move a module, move its row.
"""

import ast
import functools
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
MAX_MODULE_LINES = 330
MAX_FUNCTION_LINES = 60

# Module or package -> floor; the longest name that covers a module counts.
FLOORS = {
  # Words: names, rules, keys.
  "jft.atomic": 0,
  "jft.digests": 0,
  "jft.errors": 0,
  "jft.gguf_header": 0,
  "jft.hosts": 0,
  "jft.leaves": 0,
  "jft.lines": 0,
  "jft.redact": 0,
  "jft.rng": 0,
  "jft.rules": 0,
  "jft.tokenizer_files": 0,
  "jft.tree": 0,
  "jft.typing": 0,
  # Pure rules over arrays and trees.
  "jft.augment": 1,
  "jft.blame": 1,
  "jft.class_weights": 1,
  "jft.distill": 1,
  "jft.guard": 1,
  "jft.losses": 1,
  "jft.metrics": 1,
  "jft.optim": 1,
  "jft.optimizers": 1,
  "jft.r_drop": 1,
  "jft.sampling": 1,
  "jft.schedules": 1,
  "jft.spans": 1,
  "jft.stopping": 1,
  "jft.siamese": 1,
  "jft.tasks": 1,
  "jft.tuning": 1,
  # Siblings: none of the three knows another.
  "jft.data": 2,
  "jft.models": 2,
  "jft.pretrained": 2,
  # Running.
  "jft.adapters": 3,
  "jft.checkpoint": 3,
  "jft.disk": 3,
  "jft.environment": 3,
  "jft.cards": 3,
  "jft.evaluation": 3,
  "jft.families": 3,
  "jft.family": 3,
  "jft.generation": 3,
  "jft.interrupt": 3,
  "jft.loading": 3,
  "jft.lock": 3,
  "jft.net": 3,
  "jft.own": 3,
  "jft.options": 3,
  "jft.spec": 3,
  "jft.parallel": 3,
  "jft.quantize": 3,
  "jft.progress": 3,
  "jft.shapes": 3,
  "jft.state": 3,
  "jft.step": 3,
  "jft.store": 3,
  "jft.surgery": 3,
  "jft.trace": 3,
  "jft.writers": 3,
  # Assembly.
  "jft.augmented": 4,
  "jft.build": 4,
  "jft.config": 4,
  "jft.contact_sheet": 4,
  "jft.curves": 4,
  "jft.exports": 4,
  "jft.finish": 4,
  "jft.history": 4,
  "jft.loop": 4,
  "jft.pictures": 4,
  "jft.completions": 4,
  "jft.predictions": 4,
  "jft.preflight": 4,
  "jft.report": 4,
  "jft.restored": 4,
  "jft.rollback": 4,
  "jft.session": 4,
  "jft.soups": 4,
  "jft.workdir": 4,
  # Commands, and the names that `import jft` offers.
  "jft.cli": 5,
  "jft.insight": 5,
  "jft.proof": 5,
  "jft": 5,
}
SIBLINGS = ("jft.data", "jft.models", "jft.pretrained")

# Package -> the only places that import it.
FENCES = {
  "absl": (),
  "argparse": ("jft.cli",),
  "flax.linen": ("jft.models", "jft.tuning"),
  "fsspec": ("jft.store",),
  "grain": ("jft.data",),
  "matplotlib": ("jft.curves", "jft.pictures"),
  "ml_collections": ("jft.config", "configs"),
  "orbax": ("jft.disk", "jft.exports.savedmodel", "jft.pretrained.formats"),
  "tensorflow_datasets": ("jft.data",),
}
# Optional extras: imported inside the function that needs them.
NEVER_AT_THE_TOP = (
  "jax2onnx",
  "onnxruntime",
  "tensorflow",
  "torch",
  "torchvision",
  "transformers",
)

# Tests of the project itself rather than of one module.
PROJECT_TESTS = {"colab", "combinations", "docs", "layers"}

_TEXTS = (".cfg", ".ipynb", ".j2", ".json", ".md", ".py", ".toml", ".yaml")
_FOLDERS = (
  ".ci",
  "benchmarks",
  "colab",
  "configs",
  "docs",
  "jft",
  "scripts",
  "tests",
)
# Bracketed letters, so that this file does not find itself.
_LEFT_OVERS = re.compile(r"\b(TO[D]O|FIX[M]E|X[X]X)\b")
_MACHINE_PATHS = re.compile(r"(?<![\w.}~/*)-])/(root|home|work|tmp|Users|opt)/")


def name_of(path):
  """jft/data/__init__.py -> jft.data."""
  parts = path.relative_to(ROOT).with_suffix("").parts
  return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def parse(folder):
  return {
    name_of(path): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / folder).rglob("*.py"))
  }


JFT = parse("jft")
CODE = JFT | parse("configs")


def inside(name, places):
  """Is `name` one of these modules, or in one of these packages?"""
  return any(name == place or name.startswith(place + ".") for place in places)


def floor_of(name):
  covers = [known for known in FLOORS if known != "jft"]
  found = [known for known in covers if inside(name, (known,))]
  return FLOORS[max(found, key=len)] if found else FLOORS.get(name)


@functools.cache
def imports(tree, module="", *, top_only=False):
  """Returns (imported name, line) pairs, `import_module("x")` included.

  `from a import b` is a.b: whether b is a module is for the caller to say.
  """
  found = []
  for node in _nodes(tree, top_only):
    if isinstance(node, ast.Import):
      found += [(alias.name, node.lineno) for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      base = node.module or ""
      if node.level:  # Relative: seen from the package that holds `module`.
        package = module.split(".")[: -node.level]
        base = ".".join([*package, base]).rstrip(".")
      found += [(f"{base}.{alias.name}", node.lineno) for alias in node.names]
    elif (
      isinstance(node, ast.Call)
      and ast.unparse(node.func).endswith("import_module")
      and node.args
      and isinstance(node.args[0], ast.Constant)
    ):
      found.append((node.args[0].value, node.lineno))
  return found


def _nodes(tree, top_only):
  """Yields a tree's nodes; `top_only` leaves out the bodies of functions."""
  for node in ast.iter_child_nodes(tree):
    yield node
    is_function = isinstance(
      node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    )
    if not (top_only and is_function):
      yield from _nodes(node, top_only)


def jft_module(name):
  """a.b.C -> a.b where C is no module; None outside jft."""
  while name.split(".")[0] == "jft":
    if name in JFT:
      return name
    name = name.rpartition(".")[0]
  return None


def texts():
  """Yields every text file of the project, and its lines."""
  paths = [path for path in ROOT.iterdir() if path.is_file()]
  for folder in _FOLDERS:
    paths += [p for p in (ROOT / folder).rglob("*") if p.is_file()]
  for path in sorted(paths):
    if "__pycache__" in path.parts or ".ipynb_checkpoints" in path.parts:
      continue
    if path.suffix in _TEXTS or path == ROOT / ".ci" / "run":
      lines = path.read_text(encoding="utf-8").splitlines()
      yield path.relative_to(ROOT).as_posix(), lines


def test_every_module_has_a_floor():
  assert [name for name in JFT if floor_of(name) is None] == []


def test_every_row_is_a_module():
  assert [name for name in FLOORS if name not in JFT] == []


def test_imports_point_down():
  up = [
    f"{name}:{line} (floor {floor_of(name)}) imports {target} (floor"
    f" {floor_of(target)})"
    for name, tree in JFT.items()
    for imported, line in imports(tree, name)
    if (target := jft_module(imported))
    and (floor_of(target) or 0) > (floor_of(name) or 0)
  ]
  assert up == []


@pytest.mark.parametrize("package", SIBLINGS)
def test_siblings_do_not_know_each_other(package):
  others = [sibling for sibling in SIBLINGS if sibling != package]
  known = [
    f"{name}:{line} imports {imported}"
    for name, tree in JFT.items()
    if inside(name, (package,))
    for imported, line in imports(tree, name)
    if inside(imported, others)
  ]
  assert known == []


@pytest.mark.parametrize("package", FENCES)
def test_fences(package):
  outside = [
    f"{name}:{line} imports {imported}"
    for name, tree in CODE.items()
    if not inside(name, FENCES[package])
    for imported, line in imports(tree, name)
    if inside(imported, (package,))
  ]
  assert outside == []


def test_optional_packages_are_imported_where_they_are_used():
  eager = [
    f"{name}:{line} imports {imported}"
    for name, tree in CODE.items()
    for imported, line in imports(tree, name, top_only=True)
    if inside(imported, NEVER_AT_THE_TOP)
  ]
  assert eager == []


def test_configs_know_the_config_module_alone():
  known = [
    f"{name}:{line} imports {imported}"
    for name, tree in CODE.items()
    if inside(name, ("configs",))
    for imported, line in imports(tree, name)
    if inside(imported, ("jft",)) and not inside(imported, ("jft.config",))
  ]
  assert known == []


def test_no_module_is_called_utils():
  assert [n for n in JFT if re.search(r"(^|[._])utils?($|[._])", n)] == []


def test_modules_are_short():
  long = {}
  for path in sorted((ROOT / "jft").rglob("*.py")):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    if lines > MAX_MODULE_LINES:
      long[name_of(path)] = lines
  assert long == {}


def test_functions_are_short():
  long = {
    f"{name}.{node.name}": node.end_lineno - node.lineno + 1
    for name, tree in JFT.items()
    for node in ast.walk(tree)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
  }
  assert long == {}


def test_tests_mirror_the_modules():
  modules = {name.removeprefix("jft.").replace(".", "_") for name in JFT}
  tests = {
    path.stem.removeprefix("test_")
    for path in (ROOT / "tests").glob("test_*.py")
  }
  assert sorted(tests - modules - PROJECT_TESTS) == []


@pytest.mark.parametrize("pattern", [_LEFT_OVERS, _MACHINE_PATHS])
def test_nothing_is_left_over(pattern):
  found = [
    f"{path}:{number}: {line.strip()[:80]}"
    for path, lines in texts()
    for number, line in enumerate(lines, 1)
    if pattern.search(line)
  ]
  assert found == []


def test_imports_are_found_wherever_they_stand():
  tree = ast.parse(
    "import a.b\n"
    "from c import d, e\n"
    "if True:\n"
    "  from .f import g\n"
    "class H:\n"
    "  def i(self):\n"
    "    from j import k\n"
    "    return import_module('l.m')\n"
  )
  assert imports(tree, "jft.x.y") == [
    ("a.b", 1),
    ("c.d", 2),
    ("c.e", 2),
    ("jft.x.f.g", 4),
    ("j.k", 7),
    ("l.m", 8),
  ]
  assert imports(tree, "jft.x.y", top_only=True) == [
    ("a.b", 1),
    ("c.d", 2),
    ("c.e", 2),
    ("jft.x.f.g", 4),
  ]


def test_floors_of_modules_and_of_names_in_them():
  assert floor_of("jft.data.sources.tfds") == 2
  assert floor_of("jft.database") is None
  assert jft_module("jft.tuning.freeze.label") == "jft.tuning.freeze"
  assert jft_module("jft.fit") == "jft"  # The facade: known to no floor below.
  assert jft_module("jax.numpy") is None
