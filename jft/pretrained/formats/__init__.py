"""Reading weights, whatever they were written as: told by content, not name."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jft import gguf_header
from jft.errors import UserError
from jft.pretrained.formats import (
  flax_msgpack,
  gguf_config,
  gguf_file,
  keras_h5,
  llama2c,
  npz,
  orbax_folder,
  safetensors,
  sharded,
  tensor_bundle,
  torch_files,
  torch_pickle,
)
from jft.pretrained.formats.lazy import Tensors, shape_of

__all__ = ["FORMATS", "Format", "Tensors", "read", "settings", "shape_of"]


@dataclass(frozen=True)
class Format:
  """One way to keep weights in a file.

  Args:
    name: for messages.
    fits: (path, its first 512 bytes) -> whether the file is of this format.
    read: path -> the named tensors.
    settings: path -> the model's, as in transformers' config.json, of a format
      that keeps them beside the weights in one file.
  """

  name: str
  fits: Callable[[Path, bytes], bool]
  read: Callable[[Path], Tensors]
  settings: Callable[[Path], dict[str, Any]] | None = None


def read(path: str | Path) -> Tensors:
  """Reads a weights file, the index of several, or an Orbax folder.

  Args:
    path: any of `FORMATS`; its content decides, the suffix does not.

  Returns:
    {name: array}, each read on access.

  Raises:
    UserError: if the file is missing, damaged or of no known format.
  """
  path = Path(path)
  if path.is_dir():
    if orbax_folder.find(path) is not None:
      return orbax_folder.read(path)
    raise UserError(
      f"{path} is a folder, and no Orbax checkpoint; give the file in it, or"
      " the folder to locate()."
    )
  head = _head(path)
  if (known := _known(path, head)) is not None:
    return known.read(path)
  raise UserError(
    f"{path} is in no format that jft reads: it begins with {head[:8]!r}."
    f" Known: {'; '.join(known.name for known in FORMATS)}."
  )


def settings(path: str | Path) -> dict[str, Any]:
  """Returns the model's settings that a file of weights itself holds.

  Args:
    path: any of `FORMATS`.

  Returns:
    What transformers' config.json would say; {} for a format without settings.

  Raises:
    UserError: if the file is damaged or says what is not known.
  """
  path = Path(path)
  known = None if path.is_dir() else _known(path, _head(path))
  return known.settings(path) if known and known.settings else {}


def _head(path: Path) -> bytes:
  try:
    with open(path, "rb") as file:
      return file.read(512)
  except OSError as error:
    raise UserError(f"cannot read {path}: {error}.") from error


def _known(path: Path, head: bytes) -> Format | None:
  return next((known for known in FORMATS if known.fits(path, head)), None)


def _is_gguf(path: Path, head: bytes) -> bool:
  return head.startswith(gguf_header.MAGIC) or path.suffix == ".gguf"


def _is_llama2c(path: Path, head: bytes) -> bool:
  return llama2c.fits(head)


def _is_safetensors(path: Path, head: bytes) -> bool:
  # Length of the header, then JSON. The suffix counts only for a file that is
  # too damaged to tell, so that the message is about the damage.
  return head[8:9] == b"{" or path.suffix == ".safetensors"


def _names_in_zip(path: Path, head: bytes) -> list[str]:
  """Returns the names in a zip, none if it is no zip or damaged."""
  if not head.startswith(b"PK\x03\x04"):
    return []
  try:
    with zipfile.ZipFile(path) as archive:
      return archive.namelist()
  except Exception:
    return []


def _is_npz(path: Path, head: bytes) -> bool:
  names = _names_in_zip(path, head)
  return bool(names) and all(name.endswith(".npy") for name in names)


def _is_keras(path: Path, head: bytes) -> bool:
  hdf5 = head.startswith(keras_h5.SIGNATURE)
  return hdf5 or keras_h5.WEIGHTS in _names_in_zip(path, head)


def _is_torch_zip(path: Path, head: bytes) -> bool:
  if not head.startswith(b"PK\x03\x04"):
    return False
  # One that is cut or damaged has no names; the reader says what is wrong.
  names = _names_in_zip(path, head)
  return not names or any(name.endswith("/data.pkl") for name in names)


def _is_bundle(path: Path, head: bytes) -> bool:
  return tensor_bundle.is_index(path)


def _is_msgpack(path: Path, head: bytes) -> bool:
  # A map that is not empty, and its first key, a text; or too damaged to tell.
  if path.suffix == ".msgpack":
    return True
  at = {0xDE: 3, 0xDF: 5}.get(head[0], 1) if head else 0
  is_map = head[:1] > b"\x80" and (head[0] < 0x90 or at > 1)
  key = head[at] if is_map and len(head) > at else 0
  return 0xA1 <= key < 0xC0 or key in (0xD9, 0xDA)


def _is_torch_legacy(path: Path, head: bytes) -> bool:
  return torch_files.is_legacy(head)


def _is_index(path: Path, head: bytes) -> bool:
  return head.lstrip()[:1] == b"{" and path.suffix == ".json"


def _read_index(path: Path) -> Tensors:
  return sharded.read(path, read)


FORMATS: tuple[Format, ...] = (
  Format("GGUF (.gguf)", _is_gguf, gguf_file.read, gguf_config.config),
  Format("index of a sharded model (.index.json)", _is_index, _read_index),
  Format("torch zip (.pth, .pt, .bin)", _is_torch_zip, torch_pickle.read),
  Format("torch before 1.6 (.pth)", _is_torch_legacy, torch_pickle.read),
  Format("NumPy (.npz)", _is_npz, npz.read),
  Format("Keras (.h5, .weights.h5, .keras)", _is_keras, keras_h5.read),
  Format("TensorFlow (.ckpt.index)", _is_bundle, tensor_bundle.read),
  Format("llama2.c (.bin)", _is_llama2c, llama2c.read, llama2c.config),
  Format("safetensors", _is_safetensors, safetensors.read),
  Format("Flax (.msgpack)", _is_msgpack, flax_msgpack.read),
)
