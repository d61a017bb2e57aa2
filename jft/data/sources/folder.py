"""A folder of images: one folder a class."""

import logging
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jft.data.decode import decode, verify
from jft.errors import UserError, did_you_mean

SUFFIXES = frozenset(
  {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
)


@dataclass(frozen=True, eq=False)
class ImageFolder:
  """A source that decodes a file when its example is asked for."""

  root: Path
  files: tuple[str, ...]
  labels: np.ndarray
  name: str
  label_names: tuple[str, ...]
  skipped: tuple[str, ...] = ()
  """Why each unreadable file was left out, with its path."""

  def content(self, i: int) -> bytes:
    path = self.root / self.files[i]
    try:
      return path.read_bytes()
    except OSError as error:
      raise UserError(f"cannot read {path}: {error.strerror}.") from error

  def __len__(self) -> int:
    return len(self.files)

  def __getitem__(self, i: int) -> dict[str, Any]:
    path = self.root / self.files[i]
    return {"image": decode(path, str(path)), "label": self.labels[i]}


def image_folder(
  path: str | Path,
  *,
  on_error: Literal["error", "skip"] = "error",
  name: str | None = None,
  label_names: Sequence[str] | None = None,
) -> ImageFolder:
  """Reads `path/CLASS/**/IMAGE`, to UInt8[h w 3] RGB, turned upright.

  Args:
    path: the folder that holds the class folders.
    on_error: what to do about a file that cannot be decoded: raise when it is
      read, or look for such files now, leave them out and log their names.
    name: of the source; the folder's name if not given.
    label_names: the classes in the order of their ids; the sorted names of
      the folders if not given.

  Raises:
    UserError: if there is no class folder, one is empty or unknown, or
      `on_error` is neither.
  """
  root = Path(path)
  if on_error not in ("error", "skip"):
    raise UserError(f'on_error is "error" or "skip", got {on_error!r}.')
  names = _classes(root, label_names)
  files, labels = [], []
  for label, folder in enumerate(names):
    found = _images(root, folder)
    files += found
    labels += [label] * len(found)
  skipped: tuple[str, ...] = ()
  if on_error == "skip":
    files, labels, skipped = _readable(root, files, labels)
  name = name or root.name
  if not files:
    raise UserError(f"{root}: none of its images can be decoded.")
  return ImageFolder(
    root, tuple(files), np.array(labels, np.int32), name, names, skipped
  )


def _classes(root: Path, names: Sequence[str] | None) -> tuple[str, ...]:
  if not root.is_dir():
    raise UserError(f"{root} is not a folder.")
  found = sorted(
    entry.name
    for entry in root.iterdir()
    if entry.is_dir() and not entry.name.startswith(".")
  )
  if not found:
    raise UserError(
      f"{root} holds no class folders; expected {root}/CLASS/image.jpg."
    )
  # Python reads bytes that are no UTF-8 as halves of surrogate pairs.
  if bad := [name for name in found if re.search("[\ud800-\udfff]", name)]:
    raise UserError(
      f"{root} holds a folder {bad[0]!r}: the name of a class must be UTF-8;"
      " rename it."
    )
  if names is None:
    return tuple(found)
  for folder in found:
    if folder not in names:
      raise UserError(
        f"{root}/{folder} is none of the {len(names)} classes"
        f" {list(names)[:10]}.{did_you_mean(folder, names)}"
      )
  return tuple(names)


def _images(root: Path, folder: str) -> list[str]:
  # Of the given classes, one may have no folder here (a small test set).
  if not (root / folder).is_dir():
    return []
  files = sorted(
    file.relative_to(root).as_posix()
    for file in (root / folder).rglob("*")
    if file.suffix.lower() in SUFFIXES
    and not file.name.startswith(".")
    # Reading a pipe would wait for ever; a broken link is told when it is read.
    and (file.is_file() or not file.exists())
  )
  if not files:
    raise UserError(
      f"{root}/{folder} holds no images ({' '.join(sorted(SUFFIXES))})."
    )
  return files


def _readable(
  root: Path, files: list[str], labels: list[int]
) -> tuple[list[str], list[int], tuple[str, ...]]:
  with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
    reasons = list(pool.map(verify, [root / file for file in files]))
  skipped = tuple(reason for reason in reasons if reason)
  if skipped:
    logging.getLogger(__name__).warning(
      "%s: skipped %d of %d images:\n%s",
      root,
      len(skipped),
      len(files),
      "\n".join(skipped),
    )
  kept = [i for i, reason in enumerate(reasons) if reason is None]
  return [files[i] for i in kept], [labels[i] for i in kept], skipped
