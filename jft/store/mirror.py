"""A run's folder on this machine, kept in an object store as well.

The run reads and writes a local folder, where a rename is one step and a file
can be appended to. Whatever is complete there is copied to the object store in
the background, under names that are used once; then one small index is put,
which names all of it. Until that moment the index before it counts, so that a
kill at any instant leaves a whole run: half an upload belongs to no index.
"""

import contextlib
import json
import logging
import pathlib
import shutil
import threading
import time
import uuid
from typing import Any

from jft import atomic
from jft.digests import file_sha256
from jft.errors import UserError
from jft.store import snapshot
from jft.store.ledger import Index, Ledger, TakenError
from jft.store.pull import pull
from jft.store.remote import Remote

FILES = "files"
# For people: copies under their own names, which nothing reads back.
VIEWS = (
  "run.json",
  "metrics.jsonl",
  "summary.json",
  "report.html",
  "curves.png",
)

_SETTLE_SECS = 120.0
_log = logging.getLogger(__name__)


class Mirror:
  """Copies a local folder to a remote run; a context manager.

  Args:
    store: the remote run's objects.
    local: the folder.
    beat_secs: how often a sign is given.
    options: of the `Ledger`.
  """

  def __init__(
    self,
    store: Remote,
    local: pathlib.Path,
    beat_secs: float,
    options: dict[str, Any],
  ):
    self._store = store
    self._local = local
    self._beat_secs = beat_secs
    self._seen: dict[str, snapshot.Identity] = {}
    self._failure: TakenError | None = None
    self._asked, self._ended = threading.Event(), threading.Event()
    self._ledger, self._index = self._begin(options)
    self._threads = [
      threading.Thread(target=work, daemon=True)
      for work in (self._push_when_asked, self._give_signs)
    ]

  def push(self) -> None:
    """Has what is complete copied in the background; does not wait.

    A store that does not answer is tried again at the next push.

    Raises:
      TakenError: if another process has taken the run over.
    """
    if self._failure:
      raise self._failure
    self._asked.set()

  def push_now(self, *, released: bool = False) -> None:
    """Copies what is complete, and waits for it."""
    staging = self._beside("staging")
    last, number = self._index, self._index.number + 1
    taken = snapshot.take(self._local, staging, self._seen)
    files = {path: self._copied(path, t, number) for path, t in taken.items()}
    if files != last.files or released:
      self._index = self._ledger.commit(last, files, released=released)
      kept = {row["object"] for row in files.values()}
      self._store.delete(
        row["object"]
        for row in last.files.values()
        if row["object"] not in kept
      )
      for name in VIEWS:
        if name in files and files[name] != last.files.get(name):
          self._store.upload(taken[name].path, name)
    self._seen = {path: t.identity for path, t in taken.items()}
    shutil.rmtree(staging, ignore_errors=True)

  def close(self) -> None:
    """Copies all that the run has left, and lets go of it.

    Raises:
      UserError: if that fails; the local folder is whole.
    """
    self._ended.set()
    self._asked.set()
    for thread in self._threads:
      thread.join()
    try:
      if self._failure:
        raise self._failure
      self.push_now(released=True)
    except UserError as error:
      raise type(error)(
        f"{error} The run is whole in {self._local}."
      ) from error

  def __enter__(self) -> "Mirror":
    for thread in self._threads:
      thread.start()
    return self

  def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
    try:
      self.close()
    except UserError as error:
      if kind is None:
        raise
      # What stopped the run matters more; this is told all the same.
      _log.error("%s", error)

  def _begin(self, options: dict[str, Any]) -> tuple[Ledger, Index]:
    """Owns the run, and makes the local folder what the run is."""
    marker = self._beside("json")
    mine = json.loads(marker.read_text())["id"] if marker.exists() else None
    last = Ledger(self._store, mine or "", **options).newest()
    if last and last.owner["id"] != mine:
      # Another machine went on: what is here is older.
      marker.unlink(missing_ok=True)
      mine = None
    ledger = Ledger(self._store, mine or uuid.uuid4().hex, **options)
    index = ledger.claim()
    self._sweep(index)
    if mine is None and index.files:
      try:
        pull(self._store, index, self._local)
      except UserError:
        with contextlib.suppress(UserError):
          ledger.commit(index, index.files, released=True)
        raise
    self._local.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(marker, json.dumps(ledger.owner).encode())
    return ledger, index

  def _sweep(self, index: Index) -> None:
    """Deletes what uploads that were cut short have left."""
    kept = {row["object"] for row in index.files.values()}
    found = self._store.names(FILES)
    self._store.delete(name for name in found if name not in kept)

  def _copied(
    self, path: str, taken: snapshot.Taken, number: int
  ) -> dict[str, Any]:
    """Returns what the index says of a file, which is uploaded if it is new."""
    old = self._index.files.get(path)
    if old and self._seen.get(path) == taken.identity:
      return dict(old)
    sha256 = file_sha256(taken.path)
    if old and old["sha256"] == sha256:
      return dict(old)
    name = f"{FILES}/{path}.{self._ledger.owner['id'][:8]}-{number}"
    self._store.upload(taken.path, name)
    size = taken.path.stat().st_size
    return {"object": name, "bytes": size, "sha256": sha256}

  def _push_when_asked(self) -> None:
    while self._asked.wait() and not self._ended.is_set():
      self._asked.clear()
      end = time.monotonic() + _SETTLE_SECS
      while not snapshot.is_settled(self._local) and time.monotonic() < end:
        if self._ended.wait(0.1):
          return
      try:
        self.push_now()
      except TakenError as error:
        self._failure = error
        return
      except UserError as error:
        _log.warning("%s The next save tries again.", error)

  def _give_signs(self) -> None:
    while not self._ended.wait(self._beat_secs):
      with contextlib.suppress(UserError):
        self._ledger.beat()

  def _beside(self, what: str) -> pathlib.Path:
    return self._local.with_name(f"{self._local.name}.{what}")
