"""Objects below one URL, put and got whole; what fails is tried again.

A passing fault (a refused connection, 429, 5xx) is tried again after a growing
random pause; a lasting one (no permission, no bucket) is told at once.
"""

import base64
import contextlib
import hashlib
import importlib
import os
import pathlib
import random
import time
from collections.abc import Callable, Iterable
from typing import Any

from jft.digests import file_sha256
from jft.errors import UserError

_EXTRAS = {
  "s3": ("s3fs", "s3"),
  "gs": ("gcsfs", "gcs"),
  "gcs": ("gcsfs", "gcs"),
}
# OSErrors that no second try mends.
_LASTING = (
  FileNotFoundError,
  FileExistsError,
  PermissionError,
  NotADirectoryError,
)
_GONE = (FileNotFoundError,)
_BUSY = (408, 429)


class RemoteError(UserError):
  """The object store did not do what was asked."""


class Remote:
  """The objects below a URL, by name.

  Args:
    url: such as "s3://bucket/runs/a" or "gs://bucket/runs/a"; whatever fsspec
      opens.
    fs: the file system to use instead of fsspec's for the URL.
    patience_secs: how long one request is tried again.
    sleep: waits so many seconds.

  Raises:
    UserError: if the package for this kind of URL is not installed.
  """

  def __init__(
    self,
    url: str,
    *,
    fs: Any = None,
    patience_secs: float = 300.0,
    sleep: Callable[[float], None] = time.sleep,
  ):
    self.url = url.rstrip("/")
    self._patience_secs = patience_secs
    self._sleep = sleep
    # A listing from memory would not show what another process has written.
    self._fs = fs or _filesystem(self.url)
    self._root = self._fs._strip_protocol(self.url)

  def get(self, name: str) -> bytes | None:
    """Returns an object's bytes, None if there is none."""
    try:
      return self._tried(
        f"read {name}", self._fs.cat_file, self._at(name), let=_GONE
      )
    except FileNotFoundError:
      return None

  def put(self, name: str, data: bytes) -> None:
    """Writes an object, in the place of an older one."""
    self._tried(f"write {name}", self._fs.pipe_file, self._at(name), data)

  def create(self, name: str, data: bytes) -> bool:
    """Writes an object unless there is one; of several writers one succeeds.

    Returns:
      Whether the object holds `data` now. A request whose answer was lost is
      recognised by what it wrote, so `data` must be this writer's alone.
    """
    try:
      self._tried(
        f"create {name}",
        self._fs.pipe_file,
        self._at(name),
        data,
        let=(FileExistsError,),
        mode="create",
      )
    except FileExistsError:
      return self.get(name) == data
    return True

  def upload(self, path: pathlib.Path, name: str) -> None:
    """Writes a file to an object, and makes sure that it came whole.

    Raises:
      RemoteError: if it did not, three times.
    """
    for _ in range(3):
      self._tried(f"write {name}", self._fs.put_file, str(path), self._at(name))
      if self._holds(name, path):
        return
    raise RemoteError(
      f"{self.url}/{name} holds other bytes than were written, three times;"
      f" {path} is intact."
    )

  def download(self, name: str, path: pathlib.Path) -> str:
    """Writes an object to a file; returns its SHA-256."""
    self._tried(
      f"read {name}", self._fs.get_file, self._at(name), str(path), let=_GONE
    )
    return file_sha256(path)

  def names(self, folder: str) -> list[str]:
    """Returns the objects below a folder, sorted."""
    found = self._tried("list", self._fs.find, self._at(folder))
    return sorted(name.removeprefix(f"{self._root}/") for name in found)

  def delete(self, names: Iterable[str]) -> None:
    """Deletes objects; those that are gone already do not matter."""
    for name in names:
      with contextlib.suppress(FileNotFoundError):
        self._tried(
          f"delete {name}", self._fs.rm_file, self._at(name), let=_GONE
        )

  def _at(self, name: str) -> str:
    return f"{self._root}/{name}"

  def _holds(self, name: str, path: pathlib.Path) -> bool:
    info = self._tried(f"look at {name}", self._fs.info, self._at(name))
    if info["size"] != path.stat().st_size:
      return False
    with path.open("rb") as file:
      md5 = hashlib.file_digest(file, "md5").digest()
    # S3's tag is the MD5 of an object that came in one part and that no key
    # of KMS hides; GCS tells the MD5 of what was not composed of others.
    told = (info.get("ETag", "").strip('"'), info.get("md5Hash", ""))
    if md5.hex() == told[0] or base64.b64encode(md5).decode() == told[1]:
      return True
    back = path.with_name(f"{path.name}.back")
    try:
      return self.download(name, back) == file_sha256(path)
    finally:
      back.unlink(missing_ok=True)

  def _tried(
    self,
    what: str,
    call: Callable[..., Any],
    *args: Any,
    let: tuple[type[Exception], ...] = (),
    **options: Any,
  ) -> Any:
    """Calls until it works; `let` are errors for whoever asks."""
    end, pause = time.monotonic() + self._patience_secs, 0.5
    while True:
      try:
        return call(*args, **options)
      except let:
        raise
      except Exception as error:
        if not _passes(error):
          raise RemoteError(self._text(what, error, "")) from error
        wait = random.uniform(0.5, 1.0) * pause
        if time.monotonic() + wait > end:
          tried = f" after {self._patience_secs:.0f} seconds of trying"
          raise RemoteError(self._text(what, error, tried)) from error
        self._sleep(wait)
        pause = min(2 * pause, 30.0)

  def _text(self, what: str, error: Exception, tried: str) -> str:
    return (
      f"could not {what} in {self.url}{tried}: {type(error).__name__}:"
      f" {error}. Look at the bucket's name, the credentials and the network."
    )


def is_url(path: str | os.PathLike[str]) -> bool:
  """Returns whether a path is an object store's.

  >>> is_url("s3://bucket/run"), is_url("runs/pets")
  (True, False)
  """
  return "://" in os.fspath(path)


def _passes(error: Exception) -> bool:
  """Returns whether an error may be gone at the next try."""
  # gcsfs's HttpError and aiohttp's carry the number of the answer.
  code = getattr(error, "code", getattr(error, "status", None))
  if isinstance(code, int):
    return code in _BUSY or code >= 500
  if isinstance(error, _LASTING):
    return False
  if isinstance(error, OSError | EOFError):
    return True
  # Their own errors of the connection are no OSErrors.
  module = type(error).__module__.split(".")[0]
  name = type(error).__name__
  return module in ("aiohttp", "botocore", "urllib3", "requests") and (
    "Connection" in name or "Timeout" in name or "Payload" in name
  )


def _filesystem(url: str) -> Any:
  import fsspec

  scheme = url.partition("://")[0]
  package, extra = _EXTRAS.get(scheme, ("fsspec", ""))
  try:
    importlib.import_module(package)
  except ImportError as error:
    raise UserError(
      f'{scheme}:// needs {package}: pip install "jft[{extra}]".'
    ) from error
  try:
    return fsspec.filesystem(
      scheme, use_listings_cache=False, skip_instance_cache=True
    )
  except ValueError as error:
    raise UserError(f"{url}: {error}.") from error
