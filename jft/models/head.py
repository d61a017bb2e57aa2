"""The classifier at the end of every network, always called `head`."""

import dataclasses
import types
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp

from jft.errors import UserError
from jft.typing import Array, Callable, Float


@dataclasses.dataclass(frozen=True)
class Head:
  """What kind of head.

  Attributes:
    num_classes: outputs.
    widths: of the hidden layers of an MLP head; none: one dense layer.
    init: of the last kernel: "family" is as the family draws it, "zeros"
      starts at even guesses, "trunc_normal" has a deviation of 0.02.
    prior: the classes' shares; the last bias starts at their logarithms, so
      that an imbalanced task does not first learn its own frequencies. None
      starts at zero.
    dropout: rate, before the last layer.
    activation: between an MLP head's layers.

  Raises:
    UserError: for a value that no head can have.
  """

  num_classes: int
  widths: tuple[int, ...] = ()
  init: Literal["family", "zeros", "trunc_normal"] = "family"
  prior: tuple[float, ...] | None = None
  dropout: float = 0.0
  activation: Literal["gelu", "relu", "tanh"] = "gelu"

  def __post_init__(self):
    if self.num_classes < 1 or min(self.widths, default=1) < 1:
      raise UserError(
        "a head needs positive num_classes and widths, got"
        f" {self.num_classes} and {self.widths}."
      )
    if self.init not in _INITS:
      raise UserError(
        f"head init must be one of {sorted(_INITS)}, got {self.init!r}."
      )
    if self.activation not in _ACTIVATIONS:
      raise UserError(
        f"head activation must be one of {sorted(_ACTIVATIONS)}, got"
        f" {self.activation!r}."
      )
    if not 0 <= self.dropout < 1:
      raise UserError(f"head dropout must be in [0, 1), got {self.dropout}.")
    if self.prior is not None and (
      len(self.prior) != self.num_classes or min(self.prior) <= 0
    ):
      raise UserError(
        f"a head's prior needs {self.num_classes} positive shares, got"
        f" {self.prior}."
      )


_ACTIVATIONS = types.MappingProxyType(
  {"gelu": nn.gelu, "relu": nn.relu, "tanh": nn.tanh}
)
_INITS = types.MappingProxyType(
  {
    "family": None,
    "zeros": nn.initializers.zeros,
    "trunc_normal": nn.initializers.truncated_normal(0.02),
  }
)


def make_head(
  head: Head | int,
  *,
  kernel_init: Any,
  dtype: Any,
  param_dtype: Any,
  use_bias: bool = True,
  name: str = "head",
) -> Callable[..., Array]:
  """Returns (features, train) -> logits, inside a compact call.

  A plain head is one dense layer `head`; an MLP has `head/dense_00`, ... and
  `head/out`, with the activation between.

  Args:
    head: its kind, or its number of classes.
    kernel_init: as the family draws it.
    dtype, param_dtype: of computation and parameters.
    use_bias: of the last layer.
    name: other than "head" for one of several, inside a module of that name.
  """
  spec = Head(head) if isinstance(head, int) else head
  init = _INITS[spec.init] or kernel_init
  bias = nn.initializers.zeros
  if spec.prior is not None:
    log_shares = jnp.log(jnp.array(spec.prior) / sum(spec.prior))

    def bias(key, shape, dtype=param_dtype):
      del key
      return jnp.broadcast_to(log_shares, shape).astype(dtype)

  last = {
    "features": spec.num_classes,
    "use_bias": use_bias,
    "kernel_init": init,
    "bias_init": bias,
    "dtype": dtype,
    "param_dtype": param_dtype,
  }
  if not spec.widths:
    dense = nn.Dense(**last, name=name)

    def plain(x: Float[Array, "*b d"], train: bool) -> Float[Array, "*b k"]:
      return dense(_drop(spec, train)(x))

    return plain
  return MlpHead(spec, kernel_init, last, name=name)


class MlpHead(nn.Module):
  """Dense layers with an activation after each but the last."""

  spec: Head
  kernel_init: Any
  last: Any

  @nn.compact
  def __call__(
    self, x: Float[Array, "*b d"], train: bool
  ) -> Float[Array, "*b k"]:
    dtypes = {name: self.last[name] for name in ("dtype", "param_dtype")}
    for i, width in enumerate(self.spec.widths):
      dense = nn.Dense(
        width, kernel_init=self.kernel_init, name=f"dense_{i:02d}", **dtypes
      )
      x = _ACTIVATIONS[self.spec.activation](dense(x))
    return nn.Dense(**self.last, name="out")(_drop(self.spec, train)(x))


def _drop(spec: Head, train: bool) -> nn.Dropout:
  return nn.Dropout(spec.dropout, deterministic=not train)
