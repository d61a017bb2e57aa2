"""A workdir that may be a URL, opened as a local folder."""

import contextlib
import dataclasses
import hashlib
import os
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import jax

from jft import lock
from jft.errors import UserError
from jft.store import remote
from jft.store.ledger import Ledger
from jft.store.mirror import Mirror
from jft.store.pull import pull
from jft.store.remote import Remote


@dataclasses.dataclass(frozen=True)
class Opened:
  """A run's folder, opened.

  Attributes:
    local: the folder to read and write.
    mirror: where it is copied to, None for a folder that is local anyway.
  """

  local: pathlib.Path
  mirror: Mirror | None = None

  def push(self) -> None:
    """Has what is complete copied, in the background; see `Mirror.push`."""
    if self.mirror:
      self.mirror.push()


@contextlib.contextmanager
def open_workdir(
  workdir: str | os.PathLike[str],
  *,
  scratch: str | os.PathLike[str] | None = None,
  beat_secs: float = 15.0,
  store: Remote | None = None,
  **options: Any,
) -> Iterator[Opened]:
  """Yields the local folder of a workdir, filled from its mirror if need be.

  Args:
    workdir: a local folder, which is yielded as it is, or a URL.
    scratch: where the local folders of URLs are made (default: the environment
      variable JFT_SCRATCH, or ~/.cache/jft/workdirs).
    beat_secs: how often the owner of the run gives a sign.
    store: the objects to use instead of those at the URL.
    **options: of the `Ledger`.

  Raises:
    UserError: if the store does not answer, another process has the run, or, at
      the end, the last copy could not be made; the local folder is whole then.
  """
  if not remote.is_url(workdir):
    yield Opened(pathlib.Path(workdir))
    return
  if jax.process_count() > 1:
    raise UserError(
      f"--workdir={os.fspath(workdir)}: several processes need one folder that"
      " all of them see; give a path on a shared disk."
    )
  url = os.fspath(workdir).rstrip("/")
  local = _scratch(scratch) / _folder_name(url)
  local.parent.mkdir(parents=True, exist_ok=True)
  lock.refuse_if_taken(local)
  mirror = Mirror(store or Remote(url), local, beat_secs, options)
  with mirror:
    yield Opened(local, mirror)


@contextlib.contextmanager
def read_workdir(
  workdir: str | os.PathLike[str], *, store: Remote | None = None
) -> Iterator[pathlib.Path]:
  """Yields a run's folder for reading; a URL's is fetched and deleted again.

  The run itself may go on meanwhile: what is read is its newest whole state.

  Raises:
    UserError: if there is no run at the URL, or the store does not answer.
  """
  if not remote.is_url(workdir):
    yield pathlib.Path(workdir)
    return
  objects = store or Remote(os.fspath(workdir))
  index = Ledger(objects, "").newest()
  if index is None:
    raise UserError(f"{objects.url} is no run of jft: it holds no index.")
  with tempfile.TemporaryDirectory(prefix="jft_read_") as folder:
    local = pathlib.Path(folder) / "run"
    pull(objects, index, local)
    yield local


def _scratch(given: str | os.PathLike[str] | None) -> pathlib.Path:
  path = given or os.environ.get("JFT_SCRATCH") or "~/.cache/jft/workdirs"
  return pathlib.Path(path).expanduser().resolve()


def _folder_name(url: str) -> str:
  return f"{url.split('/')[-1]}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"
