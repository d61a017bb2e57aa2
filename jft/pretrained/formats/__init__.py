"""Reading weights, whatever they were written as: told by content, not name."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jft.errors import UserError
from jft.pretrained.formats import (
  safetensors,
  sharded,
  torch_files,
  torch_pickle,
)
from jft.pretrained.formats.lazy import Tensors, shape_of

__all__ = ["FORMATS", "Format", "Tensors", "read", "shape_of"]


@dataclass(frozen=True)
class Format:
  """One way to keep weights in a file.

  Args:
    name: for messages.
    fits: (path, its first 512 bytes) -> whether the file is of this format.
    read: path -> the named tensors.
  """

  name: str
  fits: Callable[[Path, bytes], bool]
  read: Callable[[Path], Tensors]


def read(path: str | Path) -> Tensors:
  """Reads a weights file, or the index of a sharded model.

  Args:
    path: any of `FORMATS`; its content decides, the suffix does not.

  Returns:
    {name: array}, each read on access.

  Raises:
    UserError: if the file is missing, damaged or of no known format.
  """
  path = Path(path)
  if path.is_dir():
    raise UserError(
      f"{path} is a folder; give the file in it, or the folder to locate()."
    )
  try:
    with open(path, "rb") as file:
      head = file.read(512)
  except OSError as error:
    raise UserError(f"cannot read {path}: {error}.") from error
  for known in FORMATS:
    if known.fits(path, head):
      return known.read(path)
  raise UserError(
    f"{path} is in no format that jft reads: it begins with {head[:8]!r}."
    f" Known: {'; '.join(known.name for known in FORMATS)}."
  )


def _is_safetensors(path: Path, head: bytes) -> bool:
  # Length of the header, then JSON. The suffix counts only for a file that is
  # too damaged to tell, so that the message is about the damage.
  return head[8:9] == b"{" or path.suffix == ".safetensors"


def _is_torch_zip(path: Path, head: bytes) -> bool:
  if not head.startswith(b"PK\x03\x04"):
    return False
  try:
    with zipfile.ZipFile(path) as archive:
      names = archive.namelist()
  except Exception:
    return True  # cut or damaged: the reader says what is wrong
  return any(name.endswith("/data.pkl") for name in names)


def _is_torch_legacy(path: Path, head: bytes) -> bool:
  return torch_files.is_legacy(head)


def _is_index(path: Path, head: bytes) -> bool:
  return head.lstrip()[:1] == b"{" and path.suffix == ".json"


def _read_index(path: Path) -> Tensors:
  return sharded.read(path, read)


FORMATS: tuple[Format, ...] = (
  Format("index of a sharded model (.index.json)", _is_index, _read_index),
  Format("torch zip (.pth, .pt, .bin)", _is_torch_zip, torch_pickle.read),
  Format("torch before 1.6 (.pth)", _is_torch_legacy, torch_pickle.read),
  Format("safetensors", _is_safetensors, safetensors.read),
)
