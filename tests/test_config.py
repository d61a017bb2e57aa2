import functools
import itertools
import pathlib

import pytest

from jft import config
from jft.errors import UserError

RECIPES = sorted(p.stem for p in config.recipes_folder().glob("*.py"))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_exactly_the_default_keys(name):
  assert set(config.flatten(config.load(name))) == set(
    config.flatten(config.default())
  )


def test_every_key_of_the_default_is_commented():
  source = (config.recipes_folder() / "default.py").read_text().splitlines()
  for above, line in itertools.pairwise(source):
    if (
      line.strip().startswith('"')
      and '": ' in line
      and not line.rstrip().endswith("{")
    ):
      assert "#" in line or above.strip().startswith("#"), line


def overridden(*texts):
  return config.load("default", texts)


def test_overrides_keep_the_defaults_type():
  c = overridden(
    "optim.lr=1",
    "guard.enabled=false",
    "data.label_names=ant,bee",
    "tune.rules=[('head/.*', 'head'), ('.*', 'freeze')]",
    "seed=3",
  )
  assert (c.optim.lr, type(c.optim.lr)) == (1.0, float)
  assert c.guard.enabled is False
  assert c.data.label_names == ("ant", "bee")
  assert c.tune.rules == (("head/.*", "head"), (".*", "freeze"))
  assert c.seed == 3


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("optim.ir=3", r"unknown key 'optim.ir'. Did you mean 'optim.lr'"),
    ("optim.lr=x", r"--config.optim.lr=x: expected float, got str"),
    ("stop.patience=1.5", r"expected int, got float"),
    ("seed=True", r"expected int, got bool"),
    ("optim=3", r"is a section; set one of \['optim.b1'"),
    ("optim.lr", r"needs a value"),
    ("optim.lr=" + "9" * 400, r"999\.\.\.: expected float, got int"),
    ("train.steps=" + "9" * 5000, r"expected int, got str"),
    ("train.steps=" + "(" * 5000, r"expected int, got str"),
    ("train.steps=" + "-" * 5000 + "1", r"expected int, got str"),
    ("train.steps=" + "1+" * 3000 + "1", r"expected int, got str"),
    ("train.steps={[]: 1}", r"expected int, got str"),
    ("train.steps=__import__('os').system('x')", r"expected int, got str"),
    ("train.steps=1e999-1j", r"expected int, got complex"),
    ("guard.enabled=\0", r"expected bool, got str"),
    ("\ud800=1", r"unknown key '\\ud800'"),
  ],
)
def test_bad_overrides(text, message):
  with pytest.raises(UserError, match=message):
    overridden(text)


def test_a_regex_needs_no_second_backslash():
  c = overridden(r"tune.rules=[('block_\d/.*', 'top')]")
  assert c.tune.rules == ((r"block_\d/.*", "top"),)


DEEP = functools.reduce(lambda inside, _: [inside], range(500), 0)
NESTED = functools.reduce(lambda inside, _: {"a": inside}, range(500), {})


@pytest.mark.parametrize(
  ("saved", "message"),
  [
    ({"seed": "x"}, "run.json: seed: expected int, got str"),
    ({"seed": None}, "run.json: seed: expected int, got NoneType"),
    ({"seed": True}, "run.json: seed: expected int, got bool"),
    ({"optim": {"lr": "NaN"}}, "run.json: optim.lr: expected float, got str"),
    ({"data": {"label_names": "ab"}}, "label_names: expected tuple, got str"),
    ({"optim": 3}, "run.json: unknown key 'optim'"),
    ({"a": {"b": 3}}, "run.json: unknown key 'a.b'"),
    ({"tune": {"rules": DEEP}}, "more than 100 deep"),
    (NESTED, "more than 100 deep"),
  ],
)
def test_a_run_that_no_config_can_be(saved, message):
  with pytest.raises(UserError, match=message):
    config.from_dict(saved)


def test_a_difference_of_values_nested_too_deeply_is_refused():
  with pytest.raises(UserError, match="more than 100 deep"):
    config.diff({"rules": DEEP}, {"rules": ()})


def write(tmp_path, body):
  path = tmp_path / "recipe.py"
  path.write_text(
    "import jft.config\n\ndef get_config():\n"
    f"  c = jft.config.default()\n  {body}\n  return c\n"
  )
  return str(path)


@pytest.mark.parametrize(
  ("body", "message"),
  [
    ("c.optim.lrr = 1.0", r"unknown key 'lrr'. Did you mean"),
    ("c.optim.lr = 'high'", r"recipe.py: Could not override field 'lr'"),
    ("c.optim.lr = = 1", r"recipe.py: invalid syntax"),
    ("c.optim.lr = None", r"recipe.py: optim.lr: expected float, got NoneType"),
    ("c.seed = True", r"recipe.py: seed: expected int, got bool"),
    ("c = None", r"get_config\(\) must return jft.config.default\(\), changed"),
    ("c = type(c)({'seed': 1})", r"must return jft.config.default\(\)"),
  ],
)
def test_bad_recipes(tmp_path, body, message):
  with pytest.raises(UserError, match=message):
    config.load(write(tmp_path, body))


def test_a_missing_recipe_lists_what_there_is():
  with pytest.raises(
    UserError, match=r"no config file 'quickstrat'.*quickstart"
  ):
    config.load("quickstrat")


def test_a_loaded_config_is_locked():
  with pytest.raises(AttributeError):
    overridden().sed = 1


def test_diff_names_what_changed():
  old, new = overridden(), overridden("optim.lr=0.5", "seed=2")
  assert config.diff(old, new) == {"optim.lr": (0.001, 0.5), "seed": (0, 2)}
  assert config.diff(old, overridden()) == {}


def test_recipes_are_found_from_anywhere(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert isinstance(config.recipes_folder(), pathlib.Path)
  assert config.load("default").seed == 0
