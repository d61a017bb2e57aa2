"""Configurations: load a recipe, change keys by name, lock, compare.

Below `build.py` nothing knows about configs.
"""

import ast
import importlib.util
import pathlib
import re
from typing import Any

from ml_collections import ConfigDict

from jft.errors import UserError, did_you_mean, near_misses
from jft.typing import Sequence

# ConfigDict's own types say that every value is a str, a float or a section.
Config = Any

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
  for name in flatten(config):
    if name not in known:
      raise UserError(
        f"{path}: unknown key {name!r}.{did_you_mean(name, known)}"
      )
  for text in overrides:
    override(config, text)
  return config.lock()


def from_dict(saved: Config) -> Config:
  """Returns the config that a `run.json` holds, locked.

  Raises:
    UserError: for a key that this version does not have.
  """
  config = default()
  known = flatten(config)
  with config.unlocked():
    for name, value in flatten(saved).items():
      if name not in known:
        raise UserError(f"run.json: unknown key {name!r}, of another version.")
      section, _, key = name.rpartition(".")
      node = config[section] if section else config
      node[key] = _tuples(value) if isinstance(value, list) else value
  return config


def _tuples(value: Any) -> Any:
  return tuple(map(_tuples, value)) if isinstance(value, list) else value


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


def _plain(value: Any) -> Any:
  if isinstance(value, list | tuple):
    return [_plain(item) for item in value]
  return value


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
    value = ast.literal_eval(text.title() if kind is bool else text)
  except (ValueError, SyntaxError):
    value = text
  if kind is float and type(value) is int:
    value = float(value)
  if kind is tuple and isinstance(value, list | str):
    value = tuple(value.split(",") if isinstance(value, str) else value)
  if type(value) is not kind:
    raise UserError(
      f"--config.{name}={text}: expected {kind.__name__}, got"
      f" {type(value).__name__} (the default is {old!r})."
    )
  return value
