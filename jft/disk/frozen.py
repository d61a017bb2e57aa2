"""The frozen half of the params on disk: once a run, named by its contents.

Fine-tuning a head changes kilobytes of a model of gigabytes. Checkpoints hold
the kilobytes and the name of the folder that holds the rest.
"""

from collections.abc import Collection
from typing import Any

import jax
import orbax.checkpoint as ocp

from jft import digests, hosts, leaves, tree
from jft.disk import reporting
from jft.errors import UserError
from jft.typing import Params

_DIGITS = 32  # of a folder's name


class FrozenStore:
  """Frozen params under `<directory>/<hash of names, shapes and bytes>`."""

  def __init__(self, directory: Any):
    self._directory = directory
    self._last: tuple[dict[str, str], str] | None = None

  def put(self, params: Params) -> str:
    """Writes the params unless they are there already; returns their name.

    Only the first call (or one with other params) hashes and writes; later
    ones compare a checksum computed on the device.
    """
    if not jax.tree.leaves(params):
      return ""
    name = self._name(params)
    path = self._directory / name
    if not hosts.agreed(path.exists()):
      reporting.require_space(self._directory, tree.nbytes(params))
      with ocp.StandardCheckpointer() as writer:
        # Orbax writes to a temporary folder and renames it when all is there.
        writer.save(path, tree.unflatten(leaves.plain(params)))
    return name

  def get(self, name: str, like: Params) -> Params:
    """Returns the params stored as `name`, shaped and placed like `like`.

    `like` itself comes back if it holds just these params: a run that goes on
    loads the pretrained weights first, and need not hold them twice.

    Raises:
      UserError: if the folder is missing or holds something else.
    """
    if not name or self._name(like) == name:
      return like
    path = self._directory / name
    try:
      with ocp.StandardCheckpointer() as reader:
        nested = reader.restore(path, tree.unflatten(leaves.targets(like)))
    except Exception as error:
      raise UserError(_damaged(path, f"cannot be read ({error})")) from error
    params = leaves.rebuild(like, leaves.flatten(nested))
    if digests.sha256(params)[:_DIGITS] != name:
      raise UserError(_damaged(path, "hold other bytes than were written"))
    self._last = (digests.look(params).digests, name)
    return params

  def prune(self, used: Collection[str]) -> None:
    """Deletes all that is stored under a name not in `used`."""
    if hosts.is_primary() and self._directory.exists():
      for path in self._directory.iterdir():
        if path.name not in used:
          path.rmtree()

  def _name(self, params: Params) -> str:
    # The step hands frozen leaves on as new arrays, so identity tells nothing.
    seen = digests.look(params).digests
    if self._last is None or self._last[0] != seen:
      self._last = (seen, digests.sha256(params)[:_DIGITS])
    return self._last[1]


def _damaged(path: Any, what: str) -> str:
  return (
    f"the frozen weights in {path} {what}; every checkpoint that needs them"
    " can be restored again into a state with the same pretrained weights: load"
    " them as that run did (run.json), and delete this folder."
  )
