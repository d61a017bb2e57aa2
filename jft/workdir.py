"""A run's folder: begun once, gone on with, never mixed with another run's."""

import datetime
import pathlib

from jft import config as configs
from jft import environment
from jft.errors import UserError
from jft.typing import Any, Mapping, Sequence
from jft.writers import read_json, write_json

# Keys that change nothing in what is computed, so a resume may change them.
HARMLESS = ("log.", "eval.batch_size", "data.prefetch", "checkpoint.")


def begin(
  workdir: pathlib.Path,
  config: Any,
  facts: Mapping[str, Any],
  command: Sequence[str],
) -> None:
  """Begins a run in an empty folder, or goes on with the same run.

  Args:
    workdir: made if it does not exist.
    config: the run's config.
    facts: what `run.json` says besides: model, data, what is trained.
    command: what the user typed.

  Raises:
    UserError: if the folder holds another config's run, or other files.
  """
  check(workdir, config)
  path = workdir / "run.json"
  if not path.exists():
    workdir.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write_json(
      path,
      {
        "command": list(command),
        "started": now,
        "config": config.to_dict(),
        **facts,
        **environment.describe(),
      },
    )


def check(workdir: pathlib.Path, config: Any) -> None:
  """Raises unless the folder is free for, or already of, this config."""
  if not workdir.exists():
    return
  if not workdir.is_dir():
    raise UserError(f"workdir {workdir} is a file; give a folder.")
  path = workdir / "run.json"
  if not path.exists():
    if inside := sorted(p.name for p in workdir.iterdir()):
      raise UserError(
        f"workdir {workdir} holds {', '.join(inside[:3])} but no run.json, so"
        " it is no jft run; give an empty or a new folder."
      )
    return
  changed = configs.diff(saved_facts(workdir)["config"], config.to_dict())
  breaking = {
    name: pair
    for name, pair in changed.items()
    if not name.startswith(HARMLESS)
  }
  if breaking:
    rows = "\n".join(
      f"  {name}: {old!r} -> {new!r}" for name, (old, new) in breaking.items()
    )
    raise UserError(
      f"workdir {workdir} holds the run of another config:\n{rows}\nGive"
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
