"""The types every signature uses, with jft's fixed shape letters.

Shapes are written with jaxtyping: `b` batch, `h w c` image, `n` tokens, `d`
width, `k` classes; `*shape` where any shape will do.
"""

from collections.abc import (
  Callable,
  Container,
  Iterable,
  Iterator,
  Mapping,
  Sequence,
)
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, PyTree, Shaped, UInt8, UInt32

Array = jax.Array
Key = jax.Array
ArrayLike = jax.Array | np.ndarray

Params = dict[str, Any]
"""A nested dict of arrays, as Linen's `init` returns under "params"."""

Variables = dict[str, Any]
"""`{"params": ..., "batch_stats": ..., ...}`: all that `apply` needs."""

Batch = dict[str, Any]
"""Arrays with one leading batch axis: the inputs, `label`, `mask`, `id`."""

Outputs = dict[str, jax.Array]
"""What a model returns: `logits`, `features` and `hidden`."""

Rules = Sequence[tuple[str, Any]]
"""Ordered (regular expression, value): full match, the first match wins."""

RESIZES = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""The names of interpolations, in the order of Pillow's numbers 0 to 5."""

IGNORED = -1
"""The label of a token that nothing is asked of."""

ApplyFn = Callable[..., Any]
LossFn = Callable[[Outputs, Batch], "Float[Array, 'b']"]

__all__ = [
  "IGNORED",
  "RESIZES",
  "Any",
  "ApplyFn",
  "Array",
  "ArrayLike",
  "Batch",
  "Bool",
  "Callable",
  "Container",
  "Float",
  "Int",
  "Iterable",
  "Iterator",
  "Key",
  "LossFn",
  "Mapping",
  "NamedTuple",
  "Outputs",
  "Params",
  "PyTree",
  "Rules",
  "Sequence",
  "Shaped",
  "UInt8",
  "UInt32",
  "Variables",
]
