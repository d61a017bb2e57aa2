"""A run's folder at one moment, while the run goes on writing to it.

Only what is complete is taken: a checkpoint whose every file is as its manifest
says, no file that is still being written. The order is the one in which a kill
could have left the folder, so that whoever restores a snapshot meets nothing
that a kill does not leave as well: steps before the marks on them, and those
before what is only appended to.
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping

from jft import lock
from jft.disk import manifest

CHECKPOINTS = "checkpoints"
Identity = tuple[int, int, int]

# Another process's, unfinished or set aside.
_SKIPPED_NAMES = (lock.FILE,)
_SKIPPED_PARTS = (".orbax-checkpoint-tmp", ".partial", "damaged-", ".tmp")


@dataclasses.dataclass(frozen=True)
class Taken:
  """A file of a snapshot.

  Attributes:
    path: a hard link to it or a copy of it.
    identity: equal for files that nobody has written to in between.
  """

  path: pathlib.Path
  identity: Identity


def take(
  workdir: pathlib.Path,
  staging: pathlib.Path,
  seen: Mapping[str, Identity],
) -> dict[str, Taken]:
  """Links or copies all that is complete to `staging`.

  Args:
    workdir: a run's folder.
    staging: emptied first; on the same disk, best.
    seen: {path: its identity} of files that were found intact before.

  Returns:
    {path below the workdir: its file}.
  """
  shutil.rmtree(staging, ignore_errors=True)
  taken: dict[str, Taken] = {}
  for step in _steps(workdir):
    files = _link(workdir, step, staging)
    name = step.relative_to(workdir).as_posix()
    known = all(seen.get(path) == file.identity for path, file in files.items())
    if known or not manifest.problems(staging / name):
      taken |= files
  taken |= _link(workdir, workdir / CHECKPOINTS / "frozen", staging)
  for path in _ordered(workdir):
    taken |= _copy(workdir, path, staging)
  return taken


def is_settled(workdir: pathlib.Path) -> bool:
  """Returns whether no checkpoint is being written."""
  folder = workdir / CHECKPOINTS
  return not any(folder.glob("*.orbax-checkpoint-tmp*"))


def _steps(workdir: pathlib.Path) -> list[pathlib.Path]:
  folder = workdir / CHECKPOINTS
  if not folder.is_dir():
    return []
  found = [path for path in folder.iterdir() if path.name.isdigit()]
  return sorted(found, key=lambda path: int(path.name))


def _ordered(workdir: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields the files outside of checkpoints, the marks on those first."""
  marks = workdir / CHECKPOINTS
  if marks.is_dir():
    yield from sorted(path for path in marks.iterdir() if path.is_file())
  for parent, folders, names in os.walk(workdir):
    if pathlib.Path(parent) == workdir and CHECKPOINTS in folders:
      folders.remove(CHECKPOINTS)
    yield from (pathlib.Path(parent) / name for name in sorted(names))


def _link(
  workdir: pathlib.Path, folder: pathlib.Path, staging: pathlib.Path
) -> dict[str, Taken]:
  """Takes files that are never written to again; hard links cost nothing."""
  taken = {}
  for parent, _, names in os.walk(folder):
    for name in names:
      path = pathlib.Path(parent) / name
      relative = path.relative_to(workdir)
      if _skipped(relative):
        continue
      target = staging / relative
      target.parent.mkdir(parents=True, exist_ok=True)
      # A step that is deleted meanwhile fails its manifest.
      with contextlib.suppress(FileNotFoundError):
        try:
          os.link(path, target)
        except (OSError, NotImplementedError) as error:
          if isinstance(error, FileNotFoundError):
            raise
          shutil.copyfile(path, target)
        taken[relative.as_posix()] = Taken(target, _identity(path))
  return taken


def _copy(
  workdir: pathlib.Path, path: pathlib.Path, staging: pathlib.Path
) -> dict[str, Taken]:
  """Takes a file that may be appended to."""
  relative = path.relative_to(workdir)
  if _skipped(relative):
    return {}
  target = staging / relative
  target.parent.mkdir(parents=True, exist_ok=True)
  try:
    identity = _identity(path)  # Before: what is appended now is taken again.
    shutil.copyfile(path, target)
  except FileNotFoundError:
    return {}
  return {relative.as_posix(): Taken(target, identity)}


def _skipped(relative: pathlib.Path) -> bool:
  return relative.name in _SKIPPED_NAMES or any(
    word in part for part in relative.parts for word in _SKIPPED_PARTS
  )


def _identity(path: pathlib.Path) -> Identity:
  stat = path.stat()
  return stat.st_ino, stat.st_size, stat.st_mtime_ns
