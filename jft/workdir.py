"""A run's folder: begun once, gone on with, never mixed with another run's."""

import datetime
import pathlib
import re

from jft import config as configs
from jft import environment, lock
from jft.errors import UserError
from jft.redact import redact_all
from jft.typing import Any, Mapping, Sequence
from jft.writers import read_json, write_json

# Keys that change nothing in what is computed, or (the devices) no more than
# its rounding, so a resume may change them.
HARMLESS = (
  "train.devices",
  "train.preflight",
  "log.",
  "eval.batch_size",
  "data.prefetch",
  "checkpoint.",
  "guard.max_retries",
)

# Where a file lies changes nothing; what it holds has a hash of its own.
_PLACES = (".source", ".name")
MADE = "made"
"""Where `run.json` says that a folder holds what was made of finished runs."""

# What a run computes from; other values are another run.
_INPUTS = (
  "model",
  "tokenizer",
  "data",
  "freeze",
  "phases",
  "surgical",
  "resolved",
)
# What it computes with; other values may round differently.
_MEANS = ("versions", "device", "cores", "xla_flags", "git", "code_sha256")


def begin(
  workdir: pathlib.Path,
  config: Any,
  facts: Mapping[str, Any],
  command: Sequence[str],
) -> list[str]:
  """Begins a run in an empty folder, or goes on with the same run.

  Args:
    workdir: made if it does not exist.
    config: the run's config.
    facts: what `run.json` says besides: model, data, what is trained.
    command: what the user typed.

  Returns:
    What is different from the process before, without harm: one line each.

  Raises:
    UserError: if the folder holds another run, or other files.
  """
  check(workdir, config)
  path = workdir / "run.json"
  now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
  typed = redact_all(list(command))
  new = {
    "config": redact_all(config.to_dict()),
    **redact_all(facts),
    **environment.describe(),
  }
  if not path.exists():
    workdir.mkdir(parents=True, exist_ok=True)
    write_json(path, {"command": typed, "started": now, **new})
    return []
  saved = saved_facts(workdir)
  _refuse(workdir, _inputs_changed(saved, new), "other inputs")
  harmless = {
    **_changed(saved, new, ("config",)),
    **_changed(saved, new, _MEANS),
  }
  resumed = {"time": now, "command": typed, "changed": harmless}
  amend(workdir, resumes=[*saved.get("resumes", []), resumed])
  return _rows(harmless)


def amend(workdir: pathlib.Path, **values: Any) -> None:
  """Adds to `run.json` what is learnt about a run later."""
  write_json(workdir / "run.json", {**saved_facts(workdir), **values})


def check(workdir: pathlib.Path, config: Any) -> None:
  """Raises unless the folder is free for, or already of, this config."""
  if not workdir.exists():
    return
  if not workdir.is_dir():
    raise UserError(f"workdir {workdir} is a file; give a folder.")
  path = workdir / "run.json"
  if not path.exists():
    inside = sorted(p.name for p in workdir.iterdir() if p.name != lock.FILE)
    if inside:
      raise UserError(
        f"workdir {workdir} holds {', '.join(inside[:3])} but no run.json, so"
        " it is no jft run; give an empty or a new folder."
      )
    return
  saved = saved_facts(workdir)
  if MADE in saved:
    raise UserError(
      f"workdir {workdir} holds the {next(iter(saved[MADE]))} of finished runs,"
      " which cannot be trained on; give another --workdir."
    )
  old = {"config": saved["config"]}
  new = {"config": redact_all(config.to_dict())}
  _refuse(workdir, _config_changed(old, new), "another config")


def difference(
  old: Mapping[str, Any], new: Mapping[str, Any]
) -> dict[str, list[str]]:
  """Returns how two runs' `run.json` differ, in lines.

  Returns:
    {"config": ..., "inputs": ..., "environment": ...}.
  """
  return {
    "config": _rows(_changed(old, new, ("config",))),
    "inputs": _rows(_inputs_changed(old, new)),
    "environment": _rows(_changed(old, new, _MEANS)),
  }


def _inputs_changed(old: Any, new: Any) -> dict[str, tuple[Any, Any]]:
  pairs = _changed(old, new, _INPUTS)
  return {k: pair for k, pair in pairs.items() if not k.endswith(_PLACES)}


def _config_changed(old: Any, new: Any) -> dict[str, tuple[Any, Any]]:
  harmless = tuple(f"config.{key}" for key in HARMLESS)
  pairs = _changed(old, new, ("config",))
  return {k: pair for k, pair in pairs.items() if not k.startswith(harmless)}


def _changed(
  old: Mapping[str, Any], new: Mapping[str, Any], sections: Sequence[str]
) -> dict[str, tuple[Any, Any]]:
  """Returns {name: (old, new)} of what both say, but differently.

  A run.json of an older version may say less.
  """
  both = [key for key in sections if key in old and key in new]
  a, b = ({key: side[key] for key in both} for side in (old, new))
  return configs.diff(a, b)


def _rows(changed: Mapping[str, tuple[Any, Any]]) -> list[str]:
  return [
    f"{name.removeprefix('config.')}: {_short(old)} -> {_short(new)}"
    for name, (old, new) in changed.items()
  ]


def _short(value: Any) -> str:
  text = repr(value)
  if isinstance(value, str) and re.fullmatch("[0-9a-f]{40,}", value):
    return value[:12]
  return text if len(text) <= 60 else f"{text[:50]}... ({len(text)} characters)"


def _refuse(
  workdir: pathlib.Path, changed: Mapping[str, tuple[Any, Any]], what: str
) -> None:
  if changed:
    rows = "\n".join(f"  {row}" for row in _rows(changed))
    raise UserError(
      f"workdir {workdir} holds the run of {what}:\n{rows}\nGive"
      " another --workdir, or delete this one."
    )


def saved_facts(workdir: pathlib.Path) -> dict[str, Any]:
  """Returns what a run's `run.json` holds, its "config" among it.

  Raises:
    UserError: if there is none, or the file is no run's.
  """
  path = workdir / "run.json"
  if not path.is_file():
    raise UserError(f"{workdir} is no run of jft: it holds no run.json.")
  saved = read_json(path)
  config = saved.get("config") if isinstance(saved, dict) else None
  if not isinstance(config, dict):
    raise UserError(f"{path} holds no config: it is not jft's, or damaged.")
  return saved
