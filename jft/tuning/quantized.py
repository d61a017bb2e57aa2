"""Kernels in 8 or 4 bits: how a frozen dense layer keeps its weights.

A quantised kernel keeps its name; beside it stands its `kernel_scale`.

  int8  kernel int8[in, out], kernel_scale float32[out]
  nf4   kernel uint8[blocks, 32], kernel_scale float32[blocks]: two codes a
        byte, the first in its upper half, of 64 values that follow one another
        in the transposed kernel; the last block is filled up with zeros
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype

from jft import tree
from jft.errors import UserError
from jft.typing import Any, ApplyFn, Array, Callable, Float, Mapping, Params

KINDS = ("int8", "nf4")
BLOCK = 64
SCALE = "kernel_scale"


def quantize(kernel: Float[Array, "i o"], kind: str) -> dict[str, Array]:
  """Returns a kernel's `kernel` and `kernel_scale`.

  No value is off by more than a share of its scale: int8 by half a step,
  1/255 of the column's largest value; nf4 by half the code book's widest gap,
  0.152 of the block's largest.

  Args:
    kernel: of a dense layer.
    kind: "int8" or "nf4".

  Raises:
    UserError: for another kind, or if qwix is not installed.

  Source: Dettmers et al., 2023 (arXiv:2305.14314), NF4 in blocks of 64, laid
  out as bitsandbytes does; qwix computes the codes.

  >>> parts = quantize(jnp.ones((64, 2)), "nf4")
  >>> parts["kernel"].shape, parts["kernel_scale"].shape
  ((2, 32), (2,))
  """
  qwix = _qwix()
  wide = kernel.astype(jnp.float32)
  if kind == "int8":
    made = qwix.quantize(wide, jnp.int8, channelwise_axes=(1,))
    return {"kernel": made.qvalue, SCALE: made.scale[0]}
  if kind != "nf4":
    raise UserError(f"quantize: kind {kind!r} is none of {', '.join(KINDS)}.")
  rows = jnp.pad(wide.T.reshape(-1), (0, -wide.size % BLOCK))
  made = qwix.quantize(rows.reshape(-1, BLOCK), "nf4", channelwise_axes=(0,))
  codes = made.qvalue.astype(jnp.uint8).reshape(-1, BLOCK // 2, 2)
  return {
    "kernel": codes[..., 0] << 4 | codes[..., 1],
    SCALE: made.scale[:, 0],
  }


def dequantize(
  kernel: Array, scale: Float[Array, "s"], shape: tuple[int, int]
) -> Float[Array, "i o"]:
  """Returns the float32 kernel that codes stand for.

  Args:
    kernel, scale: as `quantize` returned them.
    shape: of the kernel, in and out.
  """
  qwix = _qwix()
  if kernel.dtype == jnp.int8:
    made = qwix.QArray(kernel, scale[None], qtype=jnp.int8)
    return qwix.dequantize(made)
  codes = jnp.stack([kernel >> 4, kernel & 15], axis=-1)
  codes = codes.reshape(-1, BLOCK).astype(jnp.uint4)
  made = qwix.QArray(codes, scale[:, None], qtype="nf4")
  size = shape[0] * shape[1]
  return qwix.dequantize(made).reshape(-1)[:size].reshape(shape[::-1]).T


def quantize_params(
  params: Params, kind: str, chosen: Callable[[str], bool]
) -> Params:
  """Returns params with the chosen kernels quantised.

  Args:
    params: of a network.
    kind: "int8" or "nf4".
    chosen: name -> is this kernel, of a dense layer, to be quantised?
  """
  made = {}
  for name, leaf in tree.flatten(params).items():
    if not chosen(name):
      made[name] = leaf
      continue
    for part, array in jax.jit(quantize, static_argnums=1)(leaf, kind).items():
      made[name.removesuffix("kernel") + part] = array
  return tree.unflatten(made)


def dequantize_params(
  params: Params, shapes: Mapping[str, tuple[int, int]]
) -> Params:
  """Returns params with float32 kernels.

  Args:
    params: with quantised kernels.
    shapes: {kernel's name: in and out} of those.
  """
  flat = tree.flatten(params)
  for name, shape in shapes.items():
    scale = flat.pop(f"{name}_scale")
    flat[name] = dequantize(flat[name], scale, shape)
  return tree.unflatten(flat)


def count(params: Params) -> int:
  """Returns how many parameters there are, codes counted as what they encode.

  A scale is none, and filling up a last block counts as parameters.
  """
  flat = tree.flatten(params)
  total = 0
  for name, leaf in flat.items():
    packed = f"{name}_scale" in flat and leaf.dtype == jnp.uint8
    total += 0 if is_scale(name) else int(leaf.size) * (2 if packed else 1)
  return total


def is_quantized(params: Params) -> bool:
  """Returns whether any kernel is."""
  return any(is_scale(name) for name in tree.flatten(params))


def is_scale(name: str) -> bool:
  """Returns whether a leaf is what codes are multiplied with.

  >>> is_scale("fc/kernel_scale")
  True
  """
  return name.rpartition("/")[2] == SCALE


def wrap(apply: ApplyFn) -> ApplyFn:
  """Returns the apply whose dense layers also take quantised kernels.

  They are made float in every call, and again in the backward pass: between the
  two nothing but the codes is kept. Activations have gradients, codes none.

  Args:
    apply: of a network.
  """

  def applied(*args: Any, **kwargs: Any) -> Any:
    with nn.intercept_methods(_dense):
      return apply(*args, **kwargs)

  return applied


def _dense(next_fun: Any, args: Any, kwargs: Any, context: Any) -> Any:
  module = context.module
  if context.method_name != "__call__" or not isinstance(module, nn.Dense):
    return next_fun(*args, **kwargs)
  if not module.has_variable("params", SCALE):
    return next_fun(*args, **kwargs)
  own = module.variables["params"]
  shape = (args[0].shape[-1], module.features)

  def product(x: Array, codes: Array, scale: Array) -> Array:
    kernel = dequantize(codes, scale, shape)
    x, kernel = promote_dtype(x, kernel, dtype=module.dtype)
    return jnp.matmul(x, kernel, precision=module.precision)

  y = jax.checkpoint(product)(args[0], own["kernel"], own[SCALE])
  return y + own["bias"].astype(y.dtype) if "bias" in own else y


def _qwix() -> Any:
  try:
    import qwix
  except ImportError as error:
    raise UserError(
      "quantised kernels need the package qwix; install it with"
      " pip install 'jft[qwix]'."
    ) from error
  return qwix
