"""Who owns a remote run, and which objects it is: numbered, written once.

`index/<number>.json` names every file of a run and the object that holds it.
The one with the highest number counts. A number can be created once only, so of
two processes that both believe they own the run one fails at its next index,
before it has deleted anything: no clock and no lock server is needed for that.
A heartbeat is only for being polite: it tells a process that begins whether
the owner is alive.
"""

import dataclasses
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from typing import Any

from jft.errors import UserError
from jft.store.remote import Remote

FOLDER = "index"
ALIVE = "alive.json"


class TakenError(UserError):
  """Another process owns the run."""


@dataclasses.dataclass(frozen=True)
class Index:
  """A run at one moment.

  Attributes:
    number: counts the indexes of a run.
    owner: {"id", "host", "process"} of who wrote it.
    released: whether the owner had ended.
    files: {path: {"object", "bytes", "sha256"}}.
  """

  number: int
  owner: Mapping[str, Any]
  released: bool
  files: Mapping[str, Mapping[str, Any]]


class Ledger:
  """Reads and writes the indexes of one remote run.

  Args:
    remote: where.
    identity: this process's; kept as long as its local folder is.
    lease_secs: how long an owner without a heartbeat is waited for.
    sleep: waits so many seconds.
  """

  def __init__(
    self,
    remote: Remote,
    identity: str,
    *,
    lease_secs: float = 60.0,
    sleep: Callable[[float], None] = time.sleep,
  ):
    self._remote = remote
    self._sleep = sleep
    self._lease_secs = lease_secs
    self._beats = 0
    self.owner = {
      "id": identity,
      "host": platform.node(),
      "process": os.getpid(),
    }

  def newest(self) -> Index | None:
    """Returns the index that counts, or None before the first."""
    while names := self._remote.names(FOLDER):
      if (text := self._remote.get(names[-1])) is not None:
        return Index(**json.loads(text))
      # Its owner has written the next one and deleted this one meanwhile.
    return None

  def claim(self) -> Index:
    """Makes this process the owner; returns the index as it goes on.

    Raises:
      TakenError: if the owner is alive.
    """
    while True:
      last = self.newest()
      if last and not last.released and last.owner["id"] != self.owner["id"]:
        self._wait_for_a_sign(last)
      number = last.number + 1 if last else 0
      mine = Index(number, self.owner, False, last.files if last else {})
      if self._create(mine):
        self.beat()
        return mine

  def commit(
    self, last: Index, files: Mapping[str, Any], *, released: bool = False
  ) -> Index:
    """Writes the next index; from then on it counts.

    Raises:
      TakenError: if another process has taken the run over; nothing changed.
    """
    mine = Index(last.number + 1, self.owner, released, files)
    if not self._create(mine):
      raise self._taken()
    # A number that was deleted could be created again.
    names = self._remote.names(FOLDER)
    if names[-1] != _name(mine.number):
      self._remote.delete([_name(mine.number)])
      raise self._taken()
    self._remote.delete(names[:-1])
    return mine

  def beat(self) -> None:
    """Shows that this process is alive."""
    self._beats += 1
    sign = {"id": self.owner["id"], "beat": self._beats}
    self._remote.put(ALIVE, json.dumps(sign).encode())

  def _create(self, index: Index) -> bool:
    text = json.dumps(dataclasses.asdict(index), indent=1)
    return self._remote.create(_name(index.number), text.encode())

  def _wait_for_a_sign(self, last: Index) -> None:
    """Returns when the owner has given none for so long; clocks may differ."""
    before, looks = self._remote.get(ALIVE), 6
    for _ in range(looks):
      self._sleep(self._lease_secs / looks)
      if self._remote.get(ALIVE) != before:
        raise TakenError(
          f"{self._remote.url} is in use by process {last.owner['process']} on"
          f" {last.owner['host']}: two runs in one folder would spoil each"
          " other. Wait for it, stop it, or give another --workdir."
        )

  def _taken(self) -> TakenError:
    last = self.newest()
    by = (
      f"process {last.owner['process']} on {last.owner['host']}" if last else ""
    )
    return TakenError(
      f"{self._remote.url} was taken over by {by or 'another process'}: this"
      " run stops, and nothing of the other one's was changed."
    )


def _name(number: int) -> str:
  return f"{FOLDER}/{number:08d}.json"
