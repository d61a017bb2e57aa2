"""The idx files of MNIST and of the data sets that took its place."""

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jft.data.sources.arrays import Arrays, arrays
from jft.errors import UserError

_PIECE = 2**20
_PREFIXES = {"train": "train", "test": "t10k"}


def idx(
  folder: str | Path,
  split: str = "train",
  *,
  name: str | None = None,
  label_names: Sequence[str] | None = None,
) -> Arrays:
  """Reads MNIST-like images and labels, gzipped or not.

  Args:
    folder: holds `train-images-idx3-ubyte[.gz]` and its three fellows.
    split: "train" or "test" (the files called `t10k`).
    name: of the source; the folder's name if not given.
    label_names: the classes in the order of their ids; "0", "1", ... if not
      given.

  Returns:
    A source of {"image": UInt8[h w 1], "label"}.

  Raises:
    UserError: if a file is missing or is not what its header says.

  Source: yann.lecun.com/exdb/mnist, "the IDX file format".
  """
  folder = Path(folder)
  if split not in _PREFIXES:
    raise UserError(f'{folder}: split is "train" or "test", got {split!r}.')
  prefix = _PREFIXES[split]
  images = _read(_find(folder, f"{prefix}-images-idx3-ubyte"))
  labels = _read(_find(folder, f"{prefix}-labels-idx1-ubyte"))
  name = name or f"{folder.name}/{split}"
  if images.ndim != 3 or labels.ndim != 1:
    raise UserError(
      f"{name}: expected images of 3 axes and labels of 1, got"
      f" {images.shape} and {labels.shape}."
    )
  if label_names is None and len(labels):
    label_names = [str(i) for i in range(int(labels.max()) + 1)]
  return arrays(
    {"image": images[..., None], "label": labels},
    name=name,
    label_names=label_names,
  )


def _find(folder: Path, stem: str) -> Path:
  for suffix in (".gz", ""):
    if (path := folder / f"{stem}{suffix}").is_file():
      return path
  raise UserError(f"{folder} holds neither {stem}.gz nor {stem}.")


def _read(path: Path) -> np.ndarray:
  try:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
      shape = _shape(path, file)
      if 0 in shape:
        raise UserError(f"{path} is empty: its header says {shape}.")
      # One byte more than there should be: what inflates to gigabytes is found
      # out before it does.
      data = _take(file, math.prod(shape) + 1)
  except (OSError, EOFError, zlib.error) as error:
    raise UserError(f"{path}: cannot read this file: {error}") from error
  if len(data) != math.prod(shape):
    follow = "more" if len(data) > math.prod(shape) else len(data)
    raise UserError(
      f"{path}: its header says {shape}, but {follow} bytes follow; the file is"
      " truncated or damaged."
    )
  return np.frombuffer(data, np.uint8).reshape(shape)


def _shape(path: Path, file: gzip.GzipFile | BinaryIO) -> tuple[int, ...]:
  # Two zero bytes, the type (8: unsigned byte), the number of axes.
  head = file.read(4)
  axes = head[3] if len(head) == 4 else 0
  sizes = file.read(4 * axes)
  known = head[:3] == b"\0\0\x08" and 0 < axes <= 8
  if not known or len(sizes) != 4 * axes:
    raise UserError(f"{path} is not an idx file of bytes.")
  return tuple(int(n) for n in np.frombuffer(sizes, ">u4"))


def _take(file: gzip.GzipFile | BinaryIO, most: int) -> bytearray:
  """Reads in pieces: read(n) sets n bytes aside before it finds the end."""
  data = bytearray()
  while len(data) < most and (
    piece := file.read(min(_PIECE, most - len(data)))
  ):
    data += piece
  return data
