"""Keras' files: `.h5`, `.weights.h5`, and `.keras`, a zip around the latter.

They are HDF5, read by h5py (the extra `keras`). Links out of the file, values
kept elsewhere and sizes that the file cannot hold are refused.

Source: keras/src/legacy/saving/legacy_h5_format.py and
keras/src/saving/saving_lib.py.
"""

import contextlib
import importlib
import io
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jft.errors import UserError
from jft.pretrained.formats import keras_names, zip_files
from jft.pretrained.formats.lazy import Tensors, aligned

MAX_OBJECTS = 200_000
MAX_DEPTH = 60
MAX_CONFIG = 64 * 2**20  # bytes of config.json
WEIGHTS, CONFIG = "model.weights.h5", "config.json"
SIGNATURE = b"\x89HDF\r\n\x1a\n"


def read(path: str | Path) -> Tensors:
  """Reads names and shapes now and each array when it is asked for.

  Args:
    path: what Keras' `save`, `save_weights` or transformers' TensorFlow models
      wrote. The optimizer's state is left out.

  Returns:
    The weights by Keras' names, such as "conv1_conv/kernel", without ":0".

  Raises:
    UserError: if the file is damaged or is no Keras file, or h5py is missing.
  """
  path = Path(path)
  with _opened(path) as file:
    described = _described(path)
    found = dict(_legacy(file) or _numbered(file, described))
    if not found:
      raise UserError("no weights are in it; expected a file of Keras")
    specs = {name: _spec(name, file[inside]) for name, inside in found.items()}

  def load(name: str) -> np.ndarray:
    with _opened(path) as file:
      dataset = file[found[name]]
      if _spec(name, dataset) != specs[name]:
        raise UserError(f"{name!r} has changed since the file was opened")
      made = aligned(specs[name].shape, dataset.dtype)
      if made.size:
        dataset.read_direct(made) if made.ndim else made.fill(dataset[()])
      return made.astype(specs[name].dtype, copy=False)

  return Tensors(specs, load)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
  """Opens the HDF5 file, or the one in the zip; errors become UserErrors."""
  try:
    import h5py
  except ImportError as error:
    raise UserError(
      f"{path} is a Keras file, which h5py reads: pip install 'jft[keras]'."
    ) from error
  try:
    with open(path, "rb") as raw:
      plain = raw.read(8) == SIGNATURE
      inner = raw if plain else _Slice(raw, *_place(path, raw))
      with h5py.File(inner, "r") as file:
        yield file
  except UserError as error:
    raise UserError(f"{path}: {str(error).rstrip('.')}.") from error
  # h5py passes on whatever the library in C says.
  except Exception as error:
    raise UserError(
      f"{path} is truncated or damaged ({type(error).__name__}:"
      f" {str(error)[:200]}); copy or download it again."
    ) from error


def _place(path: Path, raw: Any) -> tuple[int, int]:
  place = zip_files.places(path, raw).get(WEIGHTS)
  if place is None or place.inflate:
    raise UserError(f"{WEIGHTS} is missing or compressed; save it with Keras")
  return place.offset, place.nbytes


def _described(path: Path) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
  """Returns {group: (layer's name, its config)} of a `.keras` file."""
  with open(path, "rb") as raw:
    if raw.read(8) == SIGNATURE:
      return {}
    place = zip_files.places(path, raw).get(CONFIG)
  if place is None or place.nbytes > MAX_CONFIG:
    raise UserError(f"{CONFIG} is missing or too large")
  data = zip_files.read_place(path, place, 0, place.nbytes).tobytes()
  layers = keras_names.layers(json.loads(data))
  return {group: (name, config) for group, name, config in layers}


def _legacy(file: Any) -> list[tuple[str, str]]:
  """Returns (name, dataset) of a file that lists its layers.

  The lists name what is there anyway, so they are not read: a damaged text in
  one makes the library in C take gigabytes.
  """
  inner = "model_weights"
  # By the list of names: to ask h5py for one would follow a link.
  root = file[_plain(file, inner)] if inner in list(file) else file
  if not {"layer_names", "layer_names0"} & set(root.attrs):
    return []
  found: dict[str, str] = {}
  for layer in root:
    for weight in _datasets(root[_plain(root, layer)]):
      name = keras_names.of_weight(layer, weight)
      if name in found:
        raise UserError(f"two weights are called {name!r}")
      found[name] = f"{root.name}/{layer}/{weight}"
  return list(found.items())


def _datasets(group: Any) -> list[str]:
  """Returns the paths of a group's datasets, from the group."""
  found, stack, seen = [], [""], set()
  for _ in range(MAX_OBJECTS):
    if not stack:
      return found
    path = stack.pop()
    here = group[_plain(group, path)] if path else group
    if not hasattr(here, "keys"):
      found.append(path)
    elif path.count("/") < MAX_DEPTH:
      _once(here, seen)
      stack += [f"{path}/{key}".lstrip("/") for key in here][::-1]
  raise UserError(f"it holds more than {MAX_OBJECTS} groups")


def _once(group: Any, seen: set[int]) -> None:
  """Raises if a group was there before: two in a ring have no end of paths."""
  h5o: Any = importlib.import_module("h5py.h5o")  # untyped

  address = h5o.get_info(group.id).addr
  if address in seen:
    raise UserError(f"{group.name[:80]!r} is there under two names")
  seen.add(address)


def _plain(group: Any, name: str) -> str:
  """Returns a path in a group, if no step of it leads out of the file."""
  import h5py

  steps = [step for step in name.split("/") if step]
  if not steps or len(steps) > MAX_DEPTH or ".." in steps or "." in steps:
    raise UserError(f"it lists {name[:80]!r}, which is no path")
  for step in steps:
    if not isinstance(group, h5py.Group):
      raise UserError(f"it lists {name[:80]!r}, which is not there")
    link = group.get(step, getlink=True)
    if not isinstance(link, h5py.HardLink):
      raise UserError(f"{name[:80]!r} is a link; only what is inside is read")
    group = group[step]
  return "/".join(steps)


def _numbered(
  file: Any, described: Mapping[str, tuple[str, Mapping[str, Any]]]
) -> list[tuple[str, str]]:
  """Returns (name, dataset) of a file of Keras 3, by walking over it."""
  import h5py

  found: dict[str, str] = {}
  stack, seen = [(file, "", "")], set()
  for _ in range(MAX_OBJECTS):
    if not stack:
      return list(found.items())
    group, path, name = stack.pop()
    is_group = isinstance(group, h5py.Group)
    if is_group:
      _once(group, seen)
    children = list(group) if is_group else []
    variables: Any = {}
    if "vars" in children:
      variables = group[_plain(group, "vars")]
    config = None
    if path in described:
      name, config = described[path]
    elif path:
      name = _own_name(variables, path, name)
    kind = re.sub(r"_\d+$", "", path.rpartition("/")[2])
    for key in variables:
      _plain(variables, key)
      part = keras_names.of_variable(kind, len(variables), int(key), config)
      full = f"{name}/{part}" if name else part
      if full in found:
        raise UserError(f"two weights are called {full!r}")
      found[full] = f"{variables.name}/{key}"
    for key in children[::-1]:
      inside = path or key != "optimizer"
      if key != "vars" and inside and path.count("/") < MAX_DEPTH:
        where = f"{path}/{key}" if path else key
        stack.append((group[_plain(group, key)], where, name))
  raise UserError(f"it holds more than {MAX_OBJECTS} groups")


def _own_name(variables: Any, path: str, outer: str) -> str:
  """Returns a group's name within its layer: a container has none."""
  step = path.rpartition("/")[2]
  if variables == {}:
    return outer if step == "layers" else f"{outer}/{step}".lstrip("/")
  own = variables.attrs.get("name", step)
  own = own.decode() if isinstance(own, bytes) else str(own)
  return f"{outer}/{own}" if outer else own


def _spec(name: str, dataset: Any) -> jax.ShapeDtypeStruct:
  import h5py

  if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
    raise UserError(f"{name!r} is no array")
  dtype, shape = dataset.dtype, dataset.shape
  if dtype.kind not in "biufc" or dtype.itemsize > 16 or dtype.char in "gG":
    raise UserError(f"{name!r} has dtype {dtype}, which is no number's")
  if dataset.external or dataset.is_virtual:
    raise UserError(f"{name!r} is kept in another file")
  nbytes = math.prod(shape) * dtype.itemsize
  stored = dataset.id.get_storage_size()
  most = max(stored, zip_files.MAX_INFLATED, zip_files.MAX_RATIO * stored)
  if nbytes > (stored if dataset.chunks is None else most):
    raise UserError(f"{name!r} claims {nbytes} bytes, {stored} are stored")
  return jax.ShapeDtypeStruct(shape, dtype.newbyteorder("="))


class _Slice(io.RawIOBase):
  """A part of a file, as a file."""

  def __init__(self, raw: Any, start: int, nbytes: int):
    self._raw, self._start, self._end = raw, start, nbytes
    self._at = 0

  def readable(self) -> bool:
    return True

  def seekable(self) -> bool:
    return True

  def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
    base = (0, self._at, self._end)[whence]
    self._at = max(base + offset, 0)
    return self._at

  def tell(self) -> int:
    return self._at

  def readinto(self, buffer: Any) -> int:
    left = max(self._end - self._at, 0)
    view = memoryview(buffer).cast("B")[:left]
    self._raw.seek(self._start + self._at)
    got = self._raw.readinto(view)
    self._at += got
    return got
