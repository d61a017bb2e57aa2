"""Keras' `.h5` of weights, as `load_weights` of Keras 2 and 3 reads it.

Source: keras/src/legacy/saving/legacy_h5_format.py.
"""

import os
from pathlib import Path

import numpy as np

from jft.errors import UserError
from jft.typing import Mapping


def write(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
  """Writes a file that either appears complete or not at all.

  Args:
    path: where to.
    arrays: {"layer/variable:0": array}, the layers in the model's order, which
      is how Keras tells them apart.

  Raises:
    UserError: if h5py is not installed.
  """
  try:
    import h5py
  except ImportError as error:
    raise UserError(
      "Keras' files need h5py: pip install 'jft[keras]'."
    ) from error
  layers: dict[str, list[str]] = {}
  for name in arrays:
    layers.setdefault(name.partition("/")[0], []).append(name)
  path = Path(path)
  partial = path.with_name(f".{path.name}.partial")
  try:
    with h5py.File(partial, "w") as file:
      file.attrs["backend"] = b"jax"
      file.attrs["layer_names"] = _texts(list(layers))
      for layer, names in layers.items():
        group = file.create_group(layer)
        group.attrs["weight_names"] = _texts(names)
        for name in names:
          group.create_dataset(name, data=np.asarray(arrays[name]))
    os.replace(partial, path)
  finally:
    partial.unlink(missing_ok=True)


def _texts(names: list[str]) -> np.ndarray:
  return np.array([name.encode() for name in names])
