"""What the names inside a torch pickle stand for: tensors not yet read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from jft.errors import UserError
from jft.pretrained.formats.pickle_machine import Builder, Opaque, Refused

# An expanded view (stride 0) may name more values than its file holds.
MAX_EXPANDED = 64 * 2**20  # bytes

_STORAGES = {
  "DoubleStorage": np.float64,
  "FloatStorage": np.float32,
  "HalfStorage": np.float16,
  "BFloat16Storage": ml_dtypes.bfloat16,
  "LongStorage": np.int64,
  "IntStorage": np.int32,
  "ShortStorage": np.int16,
  "CharStorage": np.int8,
  "ByteStorage": np.uint8,
  "BoolStorage": np.bool_,
  "ComplexFloatStorage": np.complex64,
  "ComplexDoubleStorage": np.complex128,
}
_DTYPES = {
  "float64": np.float64,
  "float32": np.float32,
  "float16": np.float16,
  "bfloat16": ml_dtypes.bfloat16,
  "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
  "float8_e5m2": ml_dtypes.float8_e5m2,
  "int64": np.int64,
  "int32": np.int32,
  "int16": np.int16,
  "int8": np.int8,
  "uint64": np.uint64,
  "uint32": np.uint32,
  "uint16": np.uint16,
  "uint8": np.uint8,
  "bool": np.bool_,
  "complex64": np.complex64,
  "complex128": np.complex128,
}
# Common beside the weights in a training checkpoint. Never built: each becomes
# an Opaque, which no tensor is.
_OPAQUE = (
  "argparse Namespace",
  "_codecs encode",
  "numpy dtype",
  "numpy.core.multiarray scalar",
  "numpy._core.multiarray scalar",
  "builtins set",
  "__builtin__ set",
  "torch device",
)


@dataclass(frozen=True)
class Storage:
  """A run of values in the file.

  Args:
    key: its name there.
    dtype: of the values; uint8 for an untyped storage.
    numel: how many values the whole storage has.
    start: where a view of it begins, in values.
  """

  key: str
  dtype: np.dtype
  numel: int
  start: int = 0


@dataclass(frozen=True)
class TorchTensor:
  """A strided window on a storage; offset and strides in values."""

  storage: Storage
  dtype: np.dtype
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]

  @property
  def span(self) -> tuple[int, int]:
    """(first byte, number of bytes) that the window covers."""
    start = self.storage.start * self.storage.dtype.itemsize
    start += self.offset * self.dtype.itemsize
    return start, _extent(self.shape, self.strides) * self.dtype.itemsize

  @property
  def in_turn(self) -> bool:
    """Whether its values lie one after another, in C order."""
    expected = 1
    for n, stride in zip(self.shape[::-1], self.strides[::-1], strict=True):
      if n != 1 and stride != expected:
        return False
      expected *= n
    return True


def resolve(module: str, name: str) -> Any:
  """Returns what a name in a torch pickle stands for.

  Raises:
    Refused: for every name that is not on the list.
  """
  full = f"{module} {name}"
  if full in _BUILDERS:
    return _BUILDERS[full]
  if full in _OPAQUE:
    return Builder(full, lambda *_: Opaque(full))
  if module in ("torch", "torch.cuda") and name in _STORAGES:
    return np.dtype(_STORAGES[name])
  if full in ("torch.storage UntypedStorage", "torch UntypedStorage"):
    return np.dtype(np.uint8)
  if module == "torch" and name in _DTYPES:
    return np.dtype(_DTYPES[name])
  raise Refused(
    f"the pickle names {module}.{name}, which jft does not build (it runs no"
    " code from a file). If it holds a whole model, save model.state_dict()"
    " instead; else save only the tensors"
  )


def storage(saved: Any) -> Storage:
  """Returns the storage a persistent id describes."""
  known = isinstance(saved, tuple) and len(saved) in (5, 6)
  if not known or saved[0] != "storage":
    raise UserError("the pickle holds a persistent id that is no storage")
  _, dtype, key, _, numel, *view = saved
  if not isinstance(dtype, np.dtype) or not isinstance(key, str):
    raise UserError("the pickle describes a storage without dtype or key")
  start = 0
  if view and view[0] is not None:  # (key, offset, size), before torch 1.6
    if not isinstance(view[0], tuple) or len(view[0]) != 3:
      raise UserError("the pickle describes a malformed storage view")
    start = view[0][1]
  _check_sizes("a storage", (numel, start))
  return Storage(key, dtype, numel, start)


def _tensor_v2(
  store: Any,
  offset: Any,
  shape: Any,
  strides: Any,
  requires_grad: Any = False,
  hooks: Any = None,
  metadata: Any = None,
) -> TorchTensor:
  if not isinstance(store, Storage):
    raise UserError("the pickle makes a tensor from something else")
  return _window(store, store.dtype, offset, shape, strides, metadata)


def _tensor_v3(
  store: Any,
  offset: Any,
  shape: Any,
  strides: Any,
  requires_grad: Any,
  hooks: Any,
  dtype: Any,
  metadata: Any = None,
) -> TorchTensor:
  if not isinstance(store, Storage) or not isinstance(dtype, np.dtype):
    raise UserError("the pickle makes a tensor from something else")
  return _window(store, dtype, offset, shape, strides, metadata)


def _window(
  store: Storage,
  dtype: np.dtype,
  offset: Any,
  shape: Any,
  strides: Any,
  metadata: Any,
) -> TorchTensor:
  if metadata:
    raise Refused("the pickle holds a lazily conjugated or negated tensor")
  if not (isinstance(shape, tuple) and isinstance(strides, tuple)):
    raise UserError("the pickle holds a tensor without shape or strides")
  if len(shape) != len(strides) or len(shape) > 32:
    raise UserError(f"the pickle holds a tensor of {len(shape)} axes")
  _check_sizes("a tensor", (offset, *shape, *strides))
  tensor = TorchTensor(store, dtype, offset, shape, strides)
  first, nbytes = tensor.span
  if first + nbytes > store.numel * store.dtype.itemsize:
    raise UserError(
      f"a tensor of shape {shape} reaches beyond its storage of"
      f" {store.numel} values"
    )
  total = math.prod(max(n, 1) for n in shape) * dtype.itemsize
  if total > max(nbytes, MAX_EXPANDED):
    raise Refused(
      f"a tensor of shape {shape} would take {total} bytes, its storage has"
      f" {nbytes}"
    )
  return tensor


def _parameter(data: Any, *_: Any) -> TorchTensor:
  if not isinstance(data, TorchTensor):
    raise UserError("the pickle makes a parameter from something else")
  return data


def _from_type(builder: Any, kind: Any, args: Any, state: Any) -> TorchTensor:
  # A tensor with Python attributes; calls one of the builders above.
  allowed = isinstance(builder, Builder) and builder.build is not _from_type
  if not allowed or not isinstance(args, tuple) or len(args) > 8:
    raise Refused("the pickle calls something that may not be called")
  return _parameter(builder.build(*args))


def _ordered(pairs: Any = ()) -> dict[Any, Any]:
  if not all(
    isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs
  ) or not all(isinstance(key, str | int) for key, _ in pairs):
    raise UserError("the pickle holds a malformed OrderedDict")
  return dict(pairs)


def _size(dims: Any = ()) -> tuple[Any, ...]:
  return tuple(dims) if isinstance(dims, list | tuple) else ()


def _check_sizes(what: str, sizes: tuple[Any, ...]) -> None:
  for size in sizes:
    if type(size) is not int or not 0 <= size < 2**48:
      raise UserError(f"the pickle describes {what} with an impossible size")


def _extent(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
  if 0 in shape:
    return 0
  return 1 + sum(
    (n - 1) * stride for n, stride in zip(shape, strides, strict=True)
  )


_BUILDERS: Mapping[str, Any] = {
  builder.name: builder
  for builder in (
    Builder("collections OrderedDict", _ordered),
    Builder("torch Size", _size),
    Builder("torch Tensor", _parameter),
    Builder("torch.nn.parameter Parameter", _parameter),
    Builder("torch._utils _rebuild_tensor_v2", _tensor_v2),
    Builder("torch._utils _rebuild_tensor", _tensor_v2),
    Builder("torch._utils _rebuild_tensor_v3", _tensor_v3),
    Builder("torch._utils _rebuild_parameter", _parameter),
    Builder("torch._utils _rebuild_parameter_with_state", _parameter),
    Builder("torch._tensor _rebuild_from_type_v2", _from_type),
  )
}
