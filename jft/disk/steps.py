"""Numbered folders of arrays, each with a record and a manifest, by Orbax.

Orbax's CheckpointManager writes in the background, shards over processes and
renames a folder into place when all of it is there. Added here: checksums, a
record that is read without the arrays, and errors and silence fit for people.
"""

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import orbax.checkpoint as ocp

from jft import atomic, hosts, leaves, tree
from jft.disk import manifest, reporting
from jft.disk.record import Record
from jft.errors import UserError
from jft.typing import Array

_NEVER_SECS = 10**9
_ERRORS_AT_MOST = 16  # of one failed write, in its threads


class StepStore:
  """The folders `<directory>/<step>`.

  Args:
    directory: made if it is missing.
    keep: the steps there are -> those that stay, asked at every write.
    read_only: only look, while another process may write.
  """

  def __init__(
    self,
    directory: str | os.PathLike[str],
    keep: Callable[[Sequence[int]], set[int]],
    *,
    read_only: bool = False,
  ):
    self._path = _absolute(directory)
    if os.path.isfile(self._path):
      raise UserError(
        f"no folder for checkpoints {self._path}: a file is in its place."
      )
    self._writing: int | None = None
    self._logger = logging.getLogger("absl")
    self._logger.addFilter(reporting.drop_orbax)
    options = ocp.CheckpointManagerOptions(
      preservation_policy=_Policy(keep),
      cleanup_tmp_directories=not read_only,
      read_only=read_only,
      async_options=ocp.AsyncOptions(
        post_finalization_callback=self._seal,
        # By the wall clock: one that is set forward must not fail a save.
        timeout_secs=_NEVER_SECS,
      ),
    )
    with reporting.user_errors("open a folder of checkpoints", self._path):
      self._manager = ocp.CheckpointManager(self._path, options=options)
    self.directory = self._manager.directory
    self.records = {step: self._read_record(step) for step in self.steps()}

  def steps(self) -> list[int]:
    """Returns the steps, oldest first, with one that is being written."""
    return sorted(self._manager.all_steps())

  def write(
    self, step: int, arrays: Mapping[str, Array], record: Record
  ) -> None:
    """Copies the arrays off the devices and writes them in the background."""
    self._writing = step
    self.records[step] = record
    with self._recovering():
      reporting.require_space(self._path, tree.nbytes(arrays))
      self._manager.save(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardSave(tree.unflatten(arrays)),
          record=ocp.args.JsonSave(record.to_json()),
        ),
      )

  def read(
    self, step: int, targets: Mapping[str, jax.ShapeDtypeStruct]
  ) -> dict[str, Array]:
    """Returns the arrays; raises what Orbax does if they cannot be read."""
    target = ocp.args.StandardRestore(tree.unflatten(targets))
    restored = self._manager.restore(
      step, args=ocp.args.Composite(state=target)
    )
    return leaves.flatten(restored["state"])

  def problems(self, step: int) -> list[str]:
    """Returns what is wrong with a step's files, nothing if all are intact."""
    return manifest.problems(self.directory / str(step))

  def delete(self, step: int) -> None:
    """Deletes a step now."""
    self._manager.delete(step)
    self.records.pop(step, None)

  def set_aside(self, step: int) -> str:
    """Renames a step so that it counts no more; returns its new path."""
    path = self.directory / f"damaged-{step}"
    if hosts.is_primary():
      if path.exists():
        path.rmtree()
      (self.directory / str(step)).rename(path)
    hosts.barrier(f"set_aside_{step}")
    self.reload()
    return str(path)

  def reload(self) -> None:
    """Looks at the disk again."""
    self._manager.reload()
    self.records = {step: self._read_record(step) for step in self.steps()}

  def wait(self) -> None:
    """Waits for the background; raises what it met."""
    with self._recovering():
      self._manager.wait_until_finished()
    self._writing = None

  def close(self) -> None:
    """Waits and ends the background threads."""
    try:
      self._manager.close()
    finally:
      self._logger.removeFilter(reporting.drop_orbax)

  @contextlib.contextmanager
  def _recovering(self) -> Iterator[None]:
    """Reports a failed write, after which all is as it was before it."""
    step = self._writing
    try:
      with reporting.user_errors(f"write checkpoint {step}", self._path):
        yield
    except Exception:
      # Orbax has struck off the steps it meant to delete and keeps its
      # half-written folder, which may be what fills the disk.
      self._writing = None
      self._settle()
      self._clean(step)
      self.reload()
      raise

  def _settle(self) -> None:
    # Orbax writes a step's metadata on a thread of its own, which may be at it
    # when the write is given up: it would miss the folder, and the next write
    # would be told so. Each call raises one error, and each is raised once.
    for _ in range(_ERRORS_AT_MOST):
      with contextlib.suppress(Exception):
        self._manager.check_for_errors()
        return

  def _seal(self) -> None:
    # In the background thread, when all files are written and before Orbax's
    # rename makes them a checkpoint. A power cut must not keep the rename and
    # lose the bytes: the older checkpoints go once this one is there.
    folder = self._temporary(self._writing)[0]
    manifest.write(folder)
    atomic.sync_all(folder)

  def _temporary(self, step: int | None) -> list[Any]:
    found = self.directory.glob(f"{step}.orbax-checkpoint-tmp*")
    # On object stores there is no rename: the step is written in place.
    return [*found, self.directory / str(step)]

  def _clean(self, step: int | None) -> None:
    if hosts.is_primary():
      for path in self._temporary(step)[:-1]:
        path.rmtree()

  def _read_record(self, step: int) -> Record | None:
    try:
      text = (self.directory / str(step) / "record" / "metadata").read_text()
      return Record.from_json(json.loads(text))
    except (OSError, ValueError, RecursionError):
      return None


class _Policy:
  """Orbax's preservation policy from a function over steps."""

  def __init__(self, keep: Callable[[Sequence[int]], set[int]]):
    self._keep = keep

  def should_preserve(self, checkpoints: Any, *, context: Any) -> list[bool]:
    del context
    steps = [checkpoint.step for checkpoint in checkpoints]
    kept = self._keep(steps)
    return [step in kept for step in steps]


def _absolute(directory: str | os.PathLike[str]) -> str:
  path = os.fspath(directory)
  if "://" in path:
    return path
  return os.path.abspath(os.path.expanduser(path))
