"""The idx files of MNIST and of the data sets that took its place."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jft.data.sources.arrays import Arrays, arrays
from jft.errors import UserError

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
    raw = path.read_bytes()
    data = gzip.decompress(raw) if path.suffix == ".gz" else raw
  except (OSError, EOFError) as error:
    raise UserError(f"{path}: cannot read this file: {error}") from error
  # Two zero bytes, the type (8: unsigned byte), the number of axes.
  start = 4 + 4 * data[3] if len(data) > 3 else 4
  if len(data) <= start or data[:3] != b"\0\0\x08":
    raise UserError(f"{path} is not an idx file of bytes.")
  shape = np.frombuffer(data[:start], ">u4", offset=4).astype(int)
  values = np.frombuffer(data, np.uint8, offset=start)
  if values.size != np.prod(shape):
    raise UserError(
      f"{path}: its header says {tuple(map(int, shape))}, but"
      f" {values.size} bytes follow; the file is truncated or damaged."
    )
  return values.reshape(shape)
