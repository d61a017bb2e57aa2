"""torch's `.pth`, `.pt` and `.bin` files, without torch and without trust.

The pickle inside is interpreted by `pickle_machine`, which runs no code, and
each tensor is read from the file when it is asked for.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jft.errors import UserError
from jft.pretrained.formats.lazy import Tensors, as_dtype, lent, row_spans
from jft.pretrained.formats.torch_files import (
  Find,
  is_legacy,
  open_legacy,
  open_zip,
)
from jft.pretrained.formats.torch_values import TorchTensor
from jft.pretrained.formats.zip_files import DAMAGE, read_parts, read_place

WRAPPERS = ("state_dict", "model_state_dict", "model")
PREFIXES = ("module.", "_orig_mod.")  # DataParallel and torch.compile


def read(path: str | Path) -> Tensors:
  """Reads the names and shapes now and each tensor when it is asked for.

  Args:
    path: what `torch.save` wrote: a state dict, or a checkpoint around one.

  Returns:
    The state dict, without wrapper and without a common `module.` prefix.

  Raises:
    UserError: if the file is damaged, asks for code, or holds no state dict.
  """
  path = Path(path)
  try:
    with open(path, "rb") as file:
      legacy = is_legacy(file.read(16))
      file.seek(0)
      tree, find = (open_legacy if legacy else open_zip)(path, file)
    named = unwrap(tree)
    for name, tensor in named.items():
      _check_tensor(name, tensor, find)
  except UserError as error:
    raise UserError(f"{path}: {str(error).rstrip('.')}.") from error
  except OSError as error:
    raise UserError(f"cannot read {path}: {error}.") from error
  except DAMAGE as error:
    raise UserError(
      f"{path} is truncated or damaged ({type(error).__name__}: {error}); copy"
      " or download it again."
    ) from error
  specs = {
    name: jax.ShapeDtypeStruct(tensor.shape, tensor.dtype)
    for name, tensor in named.items()
  }
  return Tensors(
    specs,
    lambda name: _load(path, named[name], find),
    lambda name, rows: _blocks(path, named[name], find, rows),
  )


def unwrap(mapping: Any) -> dict[str, Any]:
  """Returns the state dict inside a checkpoint, with plain names.

  Looks into `state_dict`, `model_state_dict` or `model` (what else is there,
  such as `epoch` or `optimizer`, is ignored) and strips a prefix that all names
  share, `module.` of DataParallel and `_orig_mod.` of torch.compile.

  Raises:
    UserError: if there is no state dict, or it holds anything but tensors.

  >>> unwrap({"epoch": 3, "state_dict": {"module.fc.bias": np.zeros(2)}})
  {'fc.bias': array([0., 0.])}
  """
  named = _inner(mapping)
  for name, value in named.items():
    if not isinstance(name, str) or not _is_tensor(value):
      raise UserError(
        f"entry {name!r} is a {type(value).__name__}, not a tensor; expected a"
        f" state dict, or one under {', '.join(WRAPPERS)}. The entries are"
        f" {', '.join(str(key)[:40] for key in list(named)[:8])}."
      )
  for _ in PREFIXES:
    for prefix in PREFIXES:
      if named and all(name.startswith(prefix) for name in named):
        named = {name[len(prefix) :]: value for name, value in named.items()}
  return named


def _inner(mapping: Any) -> dict[str, Any]:
  for _ in range(3):  # a checkpoint may hold itself, so never while True
    if not isinstance(mapping, Mapping):
      break
    inside = [w for w in WRAPPERS if isinstance(mapping.get(w), Mapping)]
    if not inside:
      return dict(mapping)
    mapping = mapping[inside[0]]
  raise UserError(
    f"expected a state dict, got a {type(mapping).__name__};"
    " save model.state_dict()."
  )


def _is_tensor(value: Any) -> bool:
  return isinstance(value, TorchTensor | np.ndarray | jax.Array)


def _check_tensor(name: str, tensor: TorchTensor, find: Find) -> None:
  store = tensor.storage
  try:
    place = find(store)
  except KeyError as error:
    raise UserError(f"{name!r} has no storage {store.key!r}.") from error
  if place.nbytes != store.numel * store.dtype.itemsize:
    raise UserError(
      f"{name!r}: its storage should take"
      f" {store.numel * store.dtype.itemsize} bytes, got {place.nbytes}."
    )


def _load(path: Path, tensor: TorchTensor, find: Find) -> np.ndarray:
  place = find(tensor.storage)
  first, nbytes = tensor.span
  if place.inflate:
    # Inflating begins at the start; all of it, for the checksum.
    try:
      whole = read_place(path, place, 0, place.nbytes)
    except (OSError, *DAMAGE) as error:
      raise UserError(f"{path} is damaged: {error}.") from error
    data = whole[first : first + nbytes]
  else:
    data = read_place(path, place, first, nbytes)
  flat = as_dtype(data, tensor.dtype)
  strides = tuple(n * tensor.dtype.itemsize for n in tensor.strides)
  if 0 in tensor.shape:
    return np.zeros(tensor.shape, tensor.dtype)
  view = np.ndarray(tensor.shape, tensor.dtype, flat, strides=strides)
  return view if view.flags.c_contiguous else view.copy(order="C")


def _blocks(
  path: Path, tensor: TorchTensor, find: Find, rows: int
) -> Iterator[np.ndarray]:
  """Yields blocks of rows; all rows at once where they do not lie in turn."""
  place, (first, _) = find(tensor.storage), tensor.span
  if place.inflate or not tensor.in_turn:
    yield _load(path, tensor, find)
    return
  spans = [*row_spans(tensor.shape, tensor.dtype.itemsize, rows)]
  sizes = [count for _, count, _ in spans]
  parts = read_parts(path, place, first, sizes, lent)
  for data, (_, _, shape) in zip(parts, spans, strict=True):
    yield as_dtype(data, tensor.dtype).reshape(shape)
