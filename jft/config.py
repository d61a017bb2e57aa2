"""Configurations: load a recipe, change keys by name, lock, compare.

Below `build.py` nothing knows about configs.
"""

import ast
import importlib.util
import pathlib
import re
import warnings
from typing import Any

from ml_collections import ConfigDict

from jft.errors import UserError, did_you_mean, near_misses
from jft.typing import Sequence

# ConfigDict's own types say that every value is a str, a float or a section.
Config = Any

MAX_DEPTH = 100

_PACKAGE = pathlib.Path(__file__).parent


def recipes_folder() -> pathlib.Path:
  """Returns the folder of the recipes: the checkout's, or the wheel's."""
  inside = _PACKAGE / "configs"
  return inside if inside.is_dir() else _PACKAGE.parent / "configs"


def default() -> Config:
  """Returns the default config, locked: every key that exists."""
  return _run(recipes_folder() / "default.py").lock()


def load(path: str, overrides: Sequence[str] = ()) -> Config:
  """Loads a recipe and applies overrides.

  Args:
    path: a Python file with `get_config()`, or the bare name of a recipe that
      comes with jft, such as "quickstart".
    overrides: "section.key=value" each, in order.

  Returns:
    A locked config with every key of the default.

  Raises:
    UserError: for a missing file, an unknown key or a value of another type.
  """
  config = _run(_find(path))
  known = flatten(default())
  if not isinstance(config, ConfigDict) or known.keys() - flatten(config):
    raise UserError(
      f"{path}: get_config() must return jft.config.default(), changed."
    )
  for name, value in flatten(config).items():
    if name not in known:
      raise UserError(
        f"{path}: unknown key {name!r}.{did_you_mean(name, known)}"
      )
    _typed(f"{path}: {name}", value, known[name])
  for text in overrides:
    override(config, text)
  return config.lock()


def from_dict(saved: Config) -> Config:
  """Returns the config that a `run.json` holds, locked.

  Raises:
    UserError: for a key that this version does not have, or a value of
      another type.
  """
  config = default()
  known = flatten(config)
  with config.unlocked():
    for name, value in flatten(saved).items():
      if name not in known:
        raise UserError(f"run.json: unknown key {name!r}, of another version.")
      section, _, key = name.rpartition(".")
      node = config[section] if section else config
      value = _tuples(value) if isinstance(value, list) else value
      node[key] = _typed(f"run.json: {name}", value, known[name])
  return config


def _tuples(value: Any, depth: int = 0) -> Any:
  if not isinstance(value, list):
    return value
  _check_depth(depth)
  return tuple(_tuples(item, depth + 1) for item in value)


def override(config: Config, text: str) -> None:
  """Sets one key from "section.key=value", in the type its default has.

  Raises:
    UserError: for an unknown key, a section, or a value of another type.
  """
  name, equals, value = text.partition("=")
  flat = flatten(config)
  if name not in flat:
    inside = [key for key in flat if key.startswith(name + ".")]
    if inside:
      raise UserError(f"--config.{name} is a section; set one of {inside}.")
    raise UserError(f"unknown key {name!r}.{did_you_mean(name, flat)}")
  if not equals:
    raise UserError(f"--config.{name} needs a value: --config.{name}=...")
  section, _, key = name.rpartition(".")
  node = config
  for part in filter(None, section.split(".")):
    node = node[part]
  with config.unlocked():
    node[key] = _parse(name, value, flat[name])


def flatten(config: Config, prefix: str = "") -> dict[str, Any]:
  """Returns {"section.key": value} in the order of declaration."""
  flat = {}
  _check_depth(prefix.count("."))
  for key, value in config.items():
    if isinstance(value, ConfigDict | dict):
      flat |= flatten(value, f"{prefix}{key}.")
    else:
      flat[prefix + key] = value
  return flat


def diff(old: Config, new: Config) -> dict[str, Any]:
  """Returns {"section.key": (old, new)} for every key that differs.

  >>> diff({"train": {"steps": 5}}, {"train": {"steps": 6}})
  {'train.steps': (5, 6)}
  """
  a, b = flatten(old), flatten(new)
  names = [*a, *(name for name in b if name not in a)]
  pairs = {name: (_plain(a.get(name)), _plain(b.get(name))) for name in names}
  return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _plain(value: Any, depth: int = 0) -> Any:
  if not isinstance(value, list | tuple):
    return value
  _check_depth(depth)
  return [_plain(item, depth + 1) for item in value]


def _check_depth(depth: int) -> None:
  if depth > MAX_DEPTH:
    raise UserError(f"a config nested more than {MAX_DEPTH} deep is none.")


def _find(path: str) -> pathlib.Path:
  found = pathlib.Path(path)
  if found.is_file():
    return found
  named = recipes_folder() / f"{path}.py"
  if named.is_file():
    return named
  recipes = sorted(p.stem for p in recipes_folder().glob("*.py"))
  near = near_misses(found.stem, recipes) or recipes
  raise UserError(
    f"no config file {path!r}; recipes that come with jft: {', '.join(near)}."
  )


def _run(path: pathlib.Path) -> Config:
  spec = importlib.util.spec_from_file_location(f"_jft_{path.stem}", path)
  if spec is None or spec.loader is None:
    raise UserError(f"{path} is not a Python file; a recipe ends in .py.")
  module = importlib.util.module_from_spec(spec)
  try:
    spec.loader.exec_module(module)
    return module.get_config()
  except (KeyError, AttributeError, TypeError, SyntaxError) as error:
    missing = re.search(r'Key "(\w+)" does not exist', str(error))
    if not missing:
      raise UserError(f"{path}: {error}") from error
    known = {n.rpartition(".")[2]: n for n in flatten(default())}
    hint = did_you_mean(missing[1], [*known, *known.values()])
    raise UserError(f"{path}: unknown key {missing[1]!r}.{hint}") from error


def _parse(name: str, text: str, old: Any) -> Any:
  kind = type(old)
  if kind is str:
    return text
  try:
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")  # '\d' is meant: it is a rule's
      value = ast.literal_eval(text.title() if kind is bool else text)
  except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
    value = text  # the last three: {[]: 1}, and brackets nested too deeply
  if kind is tuple and isinstance(value, list | str):
    value = tuple(value.split(",") if isinstance(value, str) else value)
  shown = text if len(text) <= 200 else f"{text[:200]}..."
  return _typed(f"--config.{name}={shown}", value, old)


def _typed(where: str, value: Any, old: Any) -> Any:
  """Returns the value in the type of the default; an int may be a float."""
  kind = type(old)
  if kind is float and type(value) is int and abs(value) < 2**63:
    value = float(value)
  if type(value) is not kind:
    raise UserError(
      f"{where}: expected {kind.__name__}, got {type(value).__name__} (the"
      f" default is {old!r})."
    )
  return value
